// A chat room: lines come as {"kind", "name", "text"}, and go as {"text"}.

import { connect, line } from "../realtime/socket.js";

const room = document.getElementById("log").dataset.room;
const name = document.querySelector("#call-me [name=name]");
name.value = remembered() ?? name.value;

const SHOW = {
  joined: ({ name }) => line("event", [["name", name], ["text", "joined"]]),
  left: ({ name }) => line("event", [["name", name], ["text", "left"]]),
  said: ({ name, text }) => line("said", [["name", name], ["text", text]]),
  refused: ({ text }) => line("refused", [["text", text]]),
};

const socket = connect(
  () => `/ws/rooms/${room}/?${new URLSearchParams({ name: name.value })}`,
  {
    message(text) {
      const received = JSON.parse(text);
      SHOW[received.kind]?.(received);
    },
  },
);

document.getElementById("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const input = event.target.elements.text;
  if (socket.send(JSON.stringify({ text: input.value }))) input.value = "";
});

document.getElementById("call-me").addEventListener("submit", (event) => {
  event.preventDefault();
  remember(name.value);
  socket.again();
  document.querySelector("#say [name=text]").focus();
});

// A browser may keep nothing for us (private windows, settings): then nothing is remembered.
function remembered() {
  try {
    return localStorage.getItem("djchan.name");
  } catch {
    return null;
  }
}

function remember(value) {
  try {
    localStorage.setItem("djchan.name", value);
  } catch {
    // The name is good for this page, then.
  }
}
