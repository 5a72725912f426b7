// Three sockets, a pane for each. What comes is {"where", "process", "text"} or {"refused"}.

import { connect, line } from "../realtime/socket.js";

for (const pane of document.querySelectorAll("[data-name]")) {
  const log = pane.querySelector("[role=log]");
  const form = pane.querySelector("form");
  const name = pane.dataset.name;

  const socket = connect(`/ws/together/${name}/`, {
    message(text) {
      const { where, process, text: said, refused } = JSON.parse(text);
      if (refused) line("refused", [["text", refused]], log);
      else line("said", [["name", where], ["text", said], ["process", `process ${process}`]], log);
    },
    state(state) {
      form.querySelector("[type=submit]").disabled = state !== "open";
    },
  });

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const input = form.elements.text;
    // JSON for the consumer that wants it; the two others take the text as it is.
    const frame = name === "json" ? JSON.stringify({ text: input.value }) : input.value;
    if (socket.send(frame)) input.value = "";
  });
}
