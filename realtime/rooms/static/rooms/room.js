// A chat room. Its frames are in realtime/rooms/lines.py.
//
// What was said has an id, and is shown in their order, each once: a line may come by the
// group and with the history, and two workers may tell of two lines in another order than
// they were said. A seat is taken once and left once, so who is here is right in whatever
// order we hear of it.

import { connect } from "../realtime/socket.js";

const KEPT = 500; // lines on this page
const SHOWN = 50; // lines at once, as in realtime/rooms/history.py
const BEAT = 60_000; // milliseconds
const TYPING_SAID = 2_000; // at most so often
const TYPING_SHOWN = 5_000; // for so long, unless they say it again

const log = document.getElementById("log");
const list = document.getElementById("lines");
const room = log.dataset.room;
const name = document.querySelector("#call-me [name=name]"); // none: who is signed in has one
if (name) name.value = remembered() ?? name.value;

let you = null; // our seat
let isShown = false; // since we are connected
let isWhole = false; // we were in the group when we were shown it
const came = new Map(); // seat -> person: told by the group until then
const gone = new Set(); // seats, likewise
let here = new Map(); // seat -> person
const typing = new Map(); // seat -> timer

const HEARD = {
  room(shown) {
    you = shown.you;
    here = new Map([...shown.here.map((person) => [person.seat, person]), ...came]);
    for (const seat of gone) here.delete(seat);
    showPeople();
    showLines(shown.lines);
    if (isShown) {
      isWhole = true;
    } else {
      isShown = true;
      // What happened while we came in: see room_receive in realtime/rooms/consumers.py.
      socket.send(JSON.stringify({ since: newest() }));
    }
  },
  joined(person) {
    if (!isWhole) came.set(person.seat, person);
    here.set(person.seat, person);
    showPeople();
    happened(`${person.name} joined`);
  },
  left({ seat, name }) {
    const wasHere = here.delete(seat);
    if (!isWhole) gone.add(seat);
    stopped(seat);
    showPeople();
    if (wasHere) happened(`${name} left`);
  },
  typing({ seat }) {
    if (seat === you || !here.has(seat)) return;
    clearTimeout(typing.get(seat));
    typing.set(seat, setTimeout(() => stopped(seat), TYPING_SHOWN));
    showTyping();
  },
  said(line) {
    stopped(line.seat);
    keepAtEnd(() => put(line));
  },
  refused: ({ text }) => happened(text, "refused"),
};

const socket = connect(
  () => `/ws/rooms/${room}/${name ? `?${new URLSearchParams({ name: name.value })}` : ""}`,
  {
    open() {
      you = null;
      isShown = false;
      isWhole = false;
      came.clear();
      gone.clear();
      here.clear();
    },
    message(text) {
      const received = JSON.parse(text);
      HEARD[received.kind]?.(received);
    },
  },
);
setInterval(() => socket.send(JSON.stringify({ here: true })), BEAT);

const say = document.getElementById("say");
let saidTyping = 0;

say.addEventListener("submit", (event) => {
  event.preventDefault();
  const input = say.elements.text;
  if (socket.send(JSON.stringify({ text: input.value }))) input.value = "";
  saidTyping = 0;
});

say.elements.text.addEventListener("input", () => {
  if (Date.now() - saidTyping < TYPING_SAID || !say.elements.text.value) return;
  if (socket.send(JSON.stringify({ typing: true }))) saidTyping = Date.now();
});

document.getElementById("call-me")?.addEventListener("submit", (event) => {
  event.preventDefault();
  remember(name.value);
  socket.again();
  say.elements.text.focus();
});

// ------------------------------------------------------------ what was said

function showLines(lines) {
  const before = newest();
  // A log is read out as it grows; what was said long ago is not news.
  log.setAttribute("aria-live", "off");
  // What was said before we came goes above what happened since.
  const end = before ? null : list.firstElementChild;
  keepAtEnd(() => {
    if (before && lines.length >= SHOWN && lines[0].id > before) {
      happened("More was said meanwhile than is shown at once: some lines are missing here.");
    }
    for (const line of lines) put(line, end);
  });
  setTimeout(() => log.removeAttribute("aria-live"), 1000);
}

// In its place by its id, once; if it is the newest, before `end` (null: at the end).
function put({ id, name, signed_in: isSignedIn, text, at }, end = null) {
  const next = [...list.querySelectorAll(".said")].find((item) => Number(item.dataset.id) >= id);
  if (next && Number(next.dataset.id) === id) return;
  const item = document.createElement("li");
  item.className = "said";
  item.dataset.id = id;
  const time = document.createElement("time");
  time.dateTime = at;
  time.title = new Date(at).toLocaleString();
  time.textContent = new Date(at).toLocaleTimeString([], { timeStyle: "short" });
  item.append(named("span", name, isSignedIn), " ", worded(text), " ", time);
  list.insertBefore(item, next ?? end);
}

function newest() {
  const last = [...list.querySelectorAll(".said")].at(-1);
  return Number(last?.dataset.id ?? 0);
}

function happened(text, kind = "event") {
  keepAtEnd(() => {
    const item = document.createElement("li");
    item.className = kind;
    item.textContent = text;
    list.append(item);
  });
}

// Stay at the end, unless the reader has scrolled up.
function keepAtEnd(change) {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  change();
  while (list.children.length > KEPT) list.firstElementChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

// ------------------------------------------------------------ who is here

function showPeople() {
  const people = new Map(); // somebody in three tabs is one person, who is here three times
  for (const { name, signed_in: isSignedIn } of here.values()) {
    const key = JSON.stringify([name, isSignedIn]);
    people.set(key, (people.get(key) ?? 0) + 1);
  }
  document.getElementById("here").replaceChildren(
    ...[...people].map(([key, times]) => {
      const item = named("li", ...JSON.parse(key));
      if (times > 1) item.append(` × ${times}`);
      return item;
    }),
  );
}

function stopped(seat) {
  clearTimeout(typing.get(seat));
  if (typing.delete(seat)) showTyping();
}

function showTyping() {
  const names = [...typing.keys()].map((seat) => here.get(seat)?.name ?? "Somebody");
  const who = names.length > 3 ? "Several people" : names.join(" and ");
  document.getElementById("typing").textContent =
    names.length === 0 ? "" : `${who} ${names.length > 1 ? "are" : "is"} typing …`;
}

function named(tag, name, isSignedIn) {
  const element = document.createElement(tag);
  element.className = "name";
  element.textContent = name;
  if (isSignedIn) {
    // Anybody may call themselves ada; she has signed in.
    const mark = document.createElement("span");
    mark.className = "mark";
    mark.title = "signed in";
    mark.setAttribute("role", "img");
    mark.setAttribute("aria-label", "(signed in)");
    element.append(mark);
  }
  return element;
}

function worded(text) {
  const span = document.createElement("span");
  span.className = "text";
  span.textContent = text;
  return span;
}

// ------------------------------------------------------------ what one calls oneself

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
