// The socket of this login, and the forms that end it. A close with one of our codes is
// the end: the page says why, and comes back only when somebody wants it to.

import { asking } from "../realtime/ask.js";
import { connect, line } from "../realtime/socket.js";

const WORDS = JSON.parse(document.getElementById("reasons").textContent);
const over = document.getElementById("closed");

const socket = connect("/ws/logins/", {
  message(text) {
    const { name } = JSON.parse(text);
    line("event", [["time", now()], ["text", `Open, for ${name}.`]]);
  },
  closed(code) {
    const why = WORDS[code] ?? "";
    line("refused", [["time", now()], ["text", `Closed with ${code}. ${why}`]]);
    over.hidden = false;
  },
});

document.getElementById("again").addEventListener("click", () => {
  document.getElementById("said").focus(); // The button, which has it, is hidden now.
  over.hidden = true;
  socket.again();
});

for (const form of document.querySelectorAll("form.ask")) asking(form);

function now() {
  return new Date().toLocaleTimeString();
}
