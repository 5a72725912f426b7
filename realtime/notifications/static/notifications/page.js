// One person's notifications: the last ones when the page has connected, then what is pushed.
// A row is known by its id, so one that comes both ways is shown once.

import { asking } from "../realtime/ask.js";
import { connect } from "../realtime/socket.js";

const WORDS = JSON.parse(document.getElementById("reasons").textContent);
const WAYS = { view: "from a view", signal: "from a signal", command: "from a command", task: "from a task" };
const KEPT = 20;
const why = document.getElementById("why");
const items = document.getElementById("items"); // None of these for who is not signed in.
const unread = document.getElementById("unread");
const read = document.getElementById("read");
const form = document.getElementById("notify");

const SHOW = {
  list({ items }) {
    for (const item of items) show(item);
    count();
  },
  new({ item }) {
    show(item);
    count();
  },
  read({ upto }) {
    for (const row of items.children) if (Number(row.dataset.id) <= upto) seen(row);
    count();
  },
  refused({ text }) {
    say(text);
  },
};

const socket = connect("/ws/notifications/", {
  open() {
    socket.send(JSON.stringify({ ask: "list" }));
  },
  message(text) {
    const { kind, ...more } = JSON.parse(text);
    SHOW[kind]?.(more);
  },
  closed(code) {
    say(`The socket was closed with ${code}. ${WORDS[code] ?? ""}`);
  },
});

read?.addEventListener("click", () => {
  const newest = items.firstElementChild;
  if (newest) socket.send(JSON.stringify({ read: Number(newest.dataset.id) }));
});

if (form) asking(form);

function show({ id, text, way, created, read }) {
  const known = items.querySelector(`[data-id="${Number(id)}"]`);
  if (known) {
    if (read) seen(known);
    return;
  }
  const row = document.createElement("li");
  row.dataset.id = id;
  const time = document.createElement("time");
  time.dateTime = created;
  time.textContent = new Date(created).toLocaleString([], { dateStyle: "short", timeStyle: "short" });
  row.append(part("text", text), part("way", WAYS[way] ?? way), time);
  if (!read) {
    row.className = "unread";
    row.prepend(part("hidden", "New:"));
  }
  const older = [...items.children].find((other) => Number(other.dataset.id) < id);
  items.insertBefore(row, older ?? null);
  while (items.children.length > KEPT) items.lastElementChild.remove();
}

function part(name, text) {
  const span = document.createElement("span");
  span.className = name;
  span.textContent = text;
  return span;
}

function seen(row) {
  row.classList.remove("unread");
  row.querySelector(".hidden")?.remove();
}

function count() {
  const number = items.querySelectorAll(".unread").length;
  unread.textContent = number ? `${number} new` : "";
  // A button that is hidden loses the focus; who uses the keyboard goes on at the list.
  if (number === 0 && document.activeElement === read) document.getElementById("pushed").focus();
  read.hidden = number === 0;
  document.getElementById("none").hidden = items.children.length > 0;
}

function say(text) {
  why.textContent = text;
  why.hidden = false;
}
