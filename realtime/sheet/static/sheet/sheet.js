// A sheet: a table whose cells are written in place. The frames are in realtime/sheet/frames.py.
//
// Each cell knows what is `saved` (value, version, who), what was `sent` and is not answered
// yet, what was heard of it `later` than that, and what others wrote under what is typed here
// (`theirs`: a decision is due). What is typed is never replaced unless its writer says so.

import { connect } from "../realtime/socket.js";

const PATIENCE = 20_000; // milliseconds until we ask again, over a new socket

const about = JSON.parse(document.getElementById("about").textContent);
const news = document.getElementById("news");
const body = document.querySelector("#sheet tbody");
const cells = new Map(); // "id:column" -> cell

for (const saved of about.cells) {
  const row = saved.column === 0 ? body.insertRow() : body.rows[body.rows.length - 1];
  const cell = made(row.insertCell(), saved);
  cells.set(`${saved.id}:${saved.column}`, cell);
  show(cell, saved.value);
}

const HEARD = {
  cells({ cells: all }) {
    for (const saved of all) {
      const cell = find(saved);
      if (!cell) continue;
      const unanswered = cell.sent !== null;
      const later = answered(cell);
      heard(cell, saved);
      if (later) heard(cell, later);
      // Its answer went with the last socket. Asked twice, it is written once: with the
      // version that we saw, or as a value that is there already.
      if (unanswered) save(cell);
    }
  },

  cell(saved) {
    const cell = find(saved);
    if (cell) heard(cell, saved);
  },

  saved(saved) {
    const cell = find(saved);
    if (!cell) return;
    const sent = cell.sent;
    const later = answered(cell);
    cell.saved = saved;
    if (cell.control.value === sent) show(cell, saved.value);
    settle(cell, isTyped(cell) ? "" : "saved");
    tell(`Saved: ${cell.label} is ${quoted(cell, saved.value)}.`);
    if (later) heard(cell, later);
    // Somebody typed on, and has left the cell.
    if (isTyped(cell) && document.activeElement !== cell.control) save(cell);
  },

  conflict(saved) {
    const cell = find(saved);
    if (!cell) return;
    const later = answered(cell);
    heard(cell, saved);
    if (later) heard(cell, later);
  },

  refused({ reason, ...place }) {
    const cell = find(place);
    if (!cell) return tell(reason);
    const later = answered(cell);
    settle(cell, "refused", reason);
    if (later) heard(cell, later);
  },
};

const socket = connect(`/ws/sheet/${about.sheet}/`, {
  open: () => socket.send(JSON.stringify({ kind: "look" })),
  message(text) {
    const frame = JSON.parse(text);
    HEARD[frame.kind]?.(frame);
  },
  closed(code) {
    // The codes of realtime/logins/reasons.py.
    if (code >= 4411 && code <= 4414) tell("This login has ended. Reload the page to look on.");
  },
});

// What is typed and not saved goes with the page: ask first.
addEventListener("beforeunload", (event) => {
  if ([...cells.values()].some(isTyped)) event.preventDefault();
});

// ------------------------------------------------------------ what happens to a cell

// It is so on the server now, by somebody else's hand.
function heard(cell, saved) {
  const newest = cell.later ?? cell.theirs ?? cell.saved;
  if (saved.version <= newest.version) return;
  if (cell.sent !== null) {
    cell.later = saved; // the answer to ours says which came first
  } else if (isTyped(cell) && cell.control.value !== saved.value) {
    cell.theirs = saved;
    settle(cell, "conflict", `${who(saved)} wrote ${quoted(cell, saved.value)} here meanwhile.`);
  } else {
    take(cell, saved);
    tell(`${who(saved)} wrote ${quoted(cell, saved.value)} in ${cell.label}.`);
  }
}

function take(cell, saved) {
  cell.saved = saved;
  cell.theirs = null;
  show(cell, saved.value);
  settle(cell, "");
  cell.box.classList.add("fresh");
  // Two frames: the color is there at once, and goes by the transition.
  requestAnimationFrame(() => requestAnimationFrame(() => cell.box.classList.remove("fresh")));
}

function save(cell) {
  if (cell.sent !== null || cell.theirs) return; // wait for the answer, or the decision
  if (!isTyped(cell)) return settle(cell, cell.box.dataset.state === "saved" ? "saved" : "");
  cell.sent = cell.control.value;
  settle(cell, "saving");
  const { sheet, id, column, version: seen } = cell.saved;
  const frame = { kind: "write", sheet, id, column, value: cell.sent, seen };
  if (socket.send(JSON.stringify(frame))) {
    // A consumer that failed says nothing. A new socket asks anew.
    cell.timer = setTimeout(socket.again, PATIENCE);
  } else {
    tell(`Not connected. ${cell.label} will be saved when we are.`);
  }
}

function keepMine(cell) {
  cell.saved = cell.theirs;
  cell.theirs = null;
  save(cell);
}

// Escape: what is saved, or what somebody else has saved since.
function giveUp(cell) {
  if (cell.sent !== null) return;
  take(cell, cell.theirs ?? cell.saved);
}

// Nothing is under way any more. Answers with what was heard meanwhile, if something was.
function answered(cell) {
  clearTimeout(cell.timer);
  const later = cell.later;
  cell.sent = cell.later = null;
  return later;
}

// ------------------------------------------------------------ what one sees of it

function made(box, saved) {
  const choices = about.choices[saved.column];
  const cell = { box, choices, saved, control: null, problem: null };
  Object.assign(cell, { sent: null, later: null, theirs: null, timer: 0 });
  Object.defineProperty(cell, "label", {
    get: () => `${about.labels[saved.column]} of ${rowName(saved.id)}`,
  });
  if (!about.mayWrite) {
    box.className = "text";
    return cell;
  }
  const control = document.createElement(choices ? "select" : "input");
  if (choices) {
    for (const [value, text] of Object.entries(choices)) control.add(new Option(text, value));
  } else {
    control.type = "text";
    control.size = Math.max(8, saved.value.length);
    control.autocomplete = "off";
  }
  control.addEventListener("change", () => save(cell));
  control.addEventListener("input", () => {
    if (box.dataset.state === "saved") settle(cell, "");
  });
  control.addEventListener("keydown", (event) => pressed(cell, event));
  box.append(control);
  cell.control = control;
  return cell;
}

function pressed(cell, event) {
  const up = event.key === "ArrowUp" || (event.key === "Enter" && event.shiftKey);
  const down = event.key === "ArrowDown" || event.key === "Enter";
  if (event.isComposing) return;
  if (event.key === "Escape") {
    giveUp(cell);
  } else if (event.key.startsWith("Arrow") && cell.choices) {
    return; // the keys of the list
  } else if (up || down) {
    event.preventDefault();
    if (event.key === "Enter") save(cell);
    // Who has to decide first stays.
    const row = cell.box.parentElement;
    const next = up ? row.previousElementSibling : row.nextElementSibling;
    const there = next?.cells[cell.box.cellIndex].querySelector("input, select");
    if (cell.theirs) cell.problem.querySelector("button").focus();
    else there?.focus();
    if (!cell.theirs) there?.select?.();
  }
}

function show(cell, value) {
  if (cell.control) cell.control.value = value;
  else cell.box.textContent = cell.choices?.[value] ?? value;
  if (cell.saved.column === 0) for (const one of inRow(cell.saved.id)) name(one);
  else name(cell);
}

function name(cell) {
  cell.control?.setAttribute("aria-label", cell.label);
}

// The state of a cell, and in words what is wrong with it, with what one can do.
function settle(cell, state, problem = "") {
  const hadFocus = cell.problem?.contains(document.activeElement);
  cell.box.dataset.state = state;
  cell.problem?.remove();
  cell.problem = null;
  cell.control?.removeAttribute("aria-describedby");
  cell.control?.setAttribute("aria-invalid", String(Boolean(problem)));
  if (problem) {
    const { id, column } = cell.saved;
    cell.problem = document.createElement("div");
    cell.problem.className = "problem";
    const text = document.createElement("p");
    text.id = `problem-${id}-${column}`;
    text.setAttribute("role", "alert");
    const buttons = document.createElement("div");
    if (state === "conflict") {
      buttons.append(button("Keep mine", () => keepMine(cell)));
      buttons.append(button("Take theirs", () => giveUp(cell)));
    }
    cell.problem.append(text, buttons);
    cell.box.append(cell.problem);
    text.textContent = problem; // in place by now, so that it is read out
    cell.control.setAttribute("aria-describedby", text.id);
  }
  if (hadFocus) (cell.problem?.querySelector("button") ?? cell.control).focus();
}

function button(text, press) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "second";
  made.textContent = text;
  made.addEventListener("click", press);
  return made;
}

function tell(text) {
  news.textContent = text;
}

function find({ id, column }) {
  return cells.get(`${id}:${column}`);
}

function* inRow(id) {
  for (let column = 0; column < about.labels.length; column++) {
    const cell = find({ id, column });
    if (cell) yield cell;
  }
}

function rowName(id) {
  return find({ id, column: 0 })?.saved.value ?? `row ${id}`;
}

function isTyped(cell) {
  return cell.control !== null && cell.control.value !== cell.saved.value;
}

function who({ by, name }) {
  if (by === about.me && by !== null) return "You, in another tab,";
  return name || "Somebody";
}

function quoted(cell, value) {
  return value === "" ? "nothing" : `“${cell.choices?.[value] ?? value}”`;
}
