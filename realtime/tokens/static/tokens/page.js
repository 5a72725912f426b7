// Tokens are made and revoked by forms; the text of a new one is in this page alone. Below
// them is a client as others would write it: see use().

import { asking } from "../realtime/ask.js";
import { connect, line } from "../realtime/socket.js";

const WORDS = json("reasons");
const rows = document.getElementById("rows"); // None of these for who is not signed in.
const make = document.getElementById("make");
const client = document.getElementById("use-it");
let socket = null;

// ---- One's tokens

if (make) {
  for (const item of json("items")) rows.append(row(item));
  count();
  asking(make, ({ token, item }) => {
    const shown = document.getElementById("new");
    shown.value = token;
    document.getElementById("once").hidden = false;
    shown.select();
    client.elements.token.value = token;
    rows.prepend(row(item));
    count();
  });
}

function row(item) {
  const made = document.getElementById("row").content.firstElementChild.cloneNode(true);
  fill(made, item);
  const form = made.querySelector("form");
  form.action = item.revoke;
  form.querySelector("button").setAttribute("aria-label", `Revoke ${item.name}`);
  asking(form, ({ item }) => fill(made, item));
  return made;
}

function fill(made, { name, used, expires, refused }) {
  made.querySelector("th").textContent = name;
  made.querySelector(".used").textContent = used ? `about ${moment(used)}` : "not yet";
  const until = made.querySelector(".until");
  until.textContent = refused || moment(expires);
  until.classList.toggle("refused", Boolean(refused));
  const button = made.querySelector("button");
  // A button that is hidden loses the focus; who uses the keyboard goes on in its row.
  if (refused && document.activeElement === button) made.querySelector("th").focus();
  button.hidden = Boolean(refused);
}

function count() {
  document.getElementById("none").hidden = rows.children.length > 0;
  document.getElementById("list").hidden = rows.children.length === 0;
}

function moment(text) {
  return new Date(text).toLocaleString([], { dateStyle: "short", timeStyle: "short" });
}

// ---- The client

client.addEventListener("submit", (event) => {
  event.preventDefault();
  socket?.close();
  socket = use(client.elements.token.value.trim(), client.elements.how.value);
});

document.getElementById("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const question = JSON.stringify({ ask: "who am I" });
  if (socket.send(question)) line("sent", [["text", question]]);
});

function use(token, how) {
  // What is no word of a subprotocol the browser refuses; no token has such characters.
  const word = token.replace(/[^-\w]/g, "") || "none";
  const opened = connect("/ws/tokens/", {
    protocols: how === "handshake" ? ["djchan", `token.${word}`] : ["djchan"],
    open() {
      if (how === "first") opened.send(JSON.stringify({ token }));
      line("event", [["text", how === "never" ? "Open, and nothing is said." : "Open."]]);
    },
    message(text) {
      line("received", [["text", text]]);
    },
    closed(code) {
      line("refused", [["text", `Closed with ${code}. ${WORDS[code] ?? ""}`]]);
    },
  });
  return opened;
}

function json(id) {
  return JSON.parse(document.getElementById(id).textContent);
}
