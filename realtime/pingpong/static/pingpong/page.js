// Two sockets. A ping carries its number, and the pong brings it back: "PING 7" and "PONG 7",
// {"ping": 7} and {"pong": 7}.

import { connect, line } from "../realtime/socket.js";

const SPEAK = {
  text: { ping: (number) => `PING ${number}`, pong: (text) => Number(/^PONG (\d+)$/.exec(text)?.[1]) },
  json: { ping: (number) => JSON.stringify({ ping: number }), pong: (text) => JSON.parse(text).pong },
};

for (const pane of document.querySelectorAll("[data-name]")) {
  const { ping, pong } = SPEAK[pane.dataset.name];
  const log = pane.querySelector("[role=log]");
  const form = pane.querySelector("form");
  const button = pane.querySelector(".ping");
  const sent = new Map(); // number: when
  const times = [];
  // Above what a person types, so that only the button's pings are measured.
  let number = 1000;

  const socket = connect(`/ws/pingpong/${pane.dataset.name}/`, {
    message(text) {
      const now = performance.now();
      line("received", [["text", text]], log);
      const key = pong(text);
      if (sent.has(key)) took(now - sent.get(key));
      sent.delete(key);
    },
    state(state) {
      sent.clear(); // what was on its way when the connection was lost
      for (const one of pane.querySelectorAll("button")) one.disabled = state !== "open";
    },
  });

  function say(text) {
    const there = socket.send(text);
    if (there) line("sent", [["text", text]], log);
    return there;
  }

  function took(milliseconds) {
    times.push(milliseconds);
    times.sort((one, other) => one - other);
    pane.querySelector("output").textContent = milliseconds.toFixed(1);
    pane.querySelector(".count").textContent = times.length;
    pane.querySelector(".fastest").textContent = `${times[0].toFixed(1)} ms`;
    pane.querySelector(".median").textContent = `${times[times.length >> 1].toFixed(1)} ms`;
  }

  button.addEventListener("click", () => {
    number += 1;
    sent.set(number, performance.now());
    if (!say(ping(number))) sent.delete(number);
  });

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    say(form.elements.frame.value);
  });
}
