// A WebSocket that comes back, politely. The pages' scripts use it:
//
//   const socket = connect("/chat/", { message(text) { … }, open() { … }, closed(code) { … } });
//   socket.send("hello");   // false: not open now, nothing was sent
//   socket.close();         // for good
//
// After a loss it waits a random part of a time that doubles (half a second up to half a
// minute), so that a thousand pages do not come back in one instant. It waits for the
// network when there is none. A close code from 4000 on is the application's last word, and
// what "closed" is for: the page then says in words why. "protocols": subprotocols to offer.
//
// It shows its state in the page's #connection (of several sockets, the worst), enables
// [type=submit] of form#say, and tells it to state(name, text), if that is given.

const SHORTEST = 500; // milliseconds
const LONGEST = 30_000;
const STEADY = 5_000; // open for so long: the next loss starts again at the shortest

const nothing = () => {};

export function connect(
  path,
  { message, open = nothing, closed = nothing, state = nothing, protocols = [] },
) {
  const key = {}; // whose state it is
  let socket = null;
  let failures = 0;
  let timer = 0;
  let over = false;

  function tell(name, text) {
    state(name, text);
    show(name, text, key);
  }

  function start() {
    clearTimeout(timer);
    tell("connecting", "Connecting …");
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const target = typeof path === "function" ? path() : path;
    const current = new WebSocket(`${scheme}//${location.host}${target}`, protocols);
    let steady = 0;
    socket = current;
    current.addEventListener("open", () => {
      if (socket !== current) return;
      steady = setTimeout(() => (failures = 0), STEADY);
      tell("open", "Connected");
      open();
    });
    current.addEventListener("message", (event) => {
      if (socket === current) message(event.data);
    });
    current.addEventListener("close", (event) => {
      clearTimeout(steady);
      if (socket !== current) return;
      socket = null;
      if (over) return;
      if (event.code >= 4000) {
        over = true;
        tell("closed", `Closed (${event.code})`);
        closed(event.code);
        return;
      }
      later();
    });
  }

  function later() {
    clearTimeout(timer);
    if (!navigator.onLine) {
      tell("waiting", "No network");
      return; // the event "online" goes on from here
    }
    const wait = Math.random() * Math.min(LONGEST, SHORTEST * 2 ** failures++) + 100;
    tell("waiting", "Connection lost, trying again …");
    timer = setTimeout(start, wait);
  }

  function drop() {
    const current = socket;
    socket = null;
    if (current?.readyState !== WebSocket.CONNECTING) current?.close(1000);
    // Closed halfway, it would be an error in the console.
    else current.addEventListener("open", () => current.close(1000));
  }

  addEventListener("online", () => {
    if (!over && !socket) start();
  });
  // A page that is left, and comes back out of the browser's cache of pages.
  addEventListener("pagehide", () => {
    clearTimeout(timer);
    drop();
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted && !over && !socket) start();
  });

  start();
  return {
    send(text) {
      if (socket?.readyState !== WebSocket.OPEN) return false;
      socket.send(text);
      return true;
    },
    // Leave, and come at once with the present path.
    again() {
      drop();
      failures = 0;
      over = false;
      start();
    },
    close() {
      over = true;
      clearTimeout(timer);
      drop();
      tell("closed", "Closed");
    },
  };
}

const states = new Map();

// Show the state of one of the page's connections; it is connected when all of them are.
export function show(name, words, key = "page") {
  states.set(key, [name, words]);
  const [state, text] = [...states.values()].find(([one]) => one !== "open") ?? [name, words];
  document.getElementById("connection").dataset.state = state;
  document.getElementById("connection-text").textContent = text;
  for (const button of document.querySelectorAll("form#say [type=submit]")) {
    button.disabled = state !== "open";
  }
}

// Add a line to the page's #log, or to another one: spans of text, each with its class. Keeps
// the last 500, and stays at the end unless the reader has scrolled up.
export function line(kind, parts, log = document.getElementById("log")) {
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  // A log is no list to a screen reader, so its lines are no list items.
  const item = document.createElement(log.matches("ol, ul") ? "li" : "div");
  item.className = kind;
  for (const [name, text] of parts) {
    const span = document.createElement("span");
    span.className = name;
    span.textContent = text;
    item.append(span, " ");
  }
  log.append(item);
  while (log.children.length > 500) log.firstElementChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}
