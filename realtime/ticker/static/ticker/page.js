// Server-sent events. A browser comes back by itself, and says which event was its last, unless
// an answer other than 200 comes (503 while the server restarts): then it is for us to.

import { line, show } from "../realtime/socket.js";

const seen = new Set(); // The latest may come twice, by the group and as what was missed.
let source = null;
let newest = 0;
let timer = 0;

function listen() {
  clearTimeout(timer);
  show("connecting", "Connecting …");
  source = new EventSource(`/ticker/events/?after=${newest}`);
  source.addEventListener("open", () => show("open", "Connected"));
  source.addEventListener("message", (event) => {
    const id = Number(event.lastEventId);
    if (seen.has(id)) return;
    seen.add(id);
    newest = Math.max(newest, id);
    line("said", [["text", JSON.parse(event.data).text]]);
  });
  source.addEventListener("error", () => {
    show("waiting", "Connection lost, trying again …");
    if (source.readyState === EventSource.CLOSED) timer = setTimeout(listen, later());
  });
}

function later() {
  return 1000 + Math.random() * 4000; // milliseconds: not all in one instant
}

function leave() {
  clearTimeout(timer);
  source?.close();
}

// A page that is left, and comes back out of the browser's cache of pages.
addEventListener("pagehide", leave);
addEventListener("pageshow", (event) => {
  if (event.persisted) listen();
});
listen();

const told = document.getElementById("told");
document.getElementById("say").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  told.textContent = "";
  try {
    // Redirected to this page: it was published, and comes back as an event.
    const body = new FormData(form);
    const answer = await fetch("", { method: "POST", body, redirect: "manual" });
    if (answer.type === "opaqueredirect") form.elements.text.value = "";
    else told.textContent = `Not published (${answer.status}). Load this page anew.`;
  } catch {
    told.textContent = "Not published: the server could not be reached.";
  }
});
