// Two sockets: the clock's, JSON both ways, and the one without a library, "ping" and "pong".

import { connect } from "../realtime/socket.js";

const $ = (id) => document.getElementById(id);
let ticks = 0;
let pings = 0;

const clock = connect("/ws/clock/", {
  message(text) {
    const told = JSON.parse(text);
    if (told.refused) return refuse(told.refused);
    ticks += 1;
    $("now").textContent = new Date(told.now).toLocaleTimeString();
    $("ticks").textContent = ticks;
    $("process").textContent = told.process;
  },
  state(state) {
    $("set").disabled = state !== "open";
  },
});

const raw = connect("/ws/raw/", {
  message(text) {
    pings += 1;
    $("pong").textContent = `${text} (${pings})`;
  },
  state(state) {
    $("ping").disabled = state !== "open";
  },
});

function refuse(words) {
  $("refused").textContent = words;
  $("refused").hidden = !words;
}

function set() {
  refuse("");
  clock.send(JSON.stringify({ every: Number($("every").value) }));
}

$("set").addEventListener("click", set);
$("every").addEventListener("keydown", (event) => event.key === "Enter" && set());
$("ping").addEventListener("click", () => raw.send("ping"));
