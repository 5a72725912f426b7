// The echo page: one socket at /chat/, plain text both ways.

import { connect, line } from "../realtime/socket.js";

const socket = connect("/chat/", {
  message: (text) => line("received", [["text", text]]),
});

document.getElementById("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const input = event.target.elements.text;
  if (socket.send(input.value)) {
    line("sent", [["text", input.value]]);
    input.select();
  }
});
