// The echo page: one socket at /chat/, plain text both ways.

import { connect, line } from "../realtime/socket.js";

const socket = connect("/chat/", {
  message: (text) => line("received", [["text", text]]),
});

document.getElementById("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const input = event.target.elements.text;
  const slow = event.submitter?.value === "slow";
  if (socket.send(slow ? `/slow ${input.value}` : input.value)) {
    line("sent", [["text", input.value], ["note", slow ? "the slow way" : ""]]);
    input.select();
  }
});
