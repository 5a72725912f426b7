// The scores, as they change; and on the writer's page, its buttons.
//
// States come as {"matches": [{"match", "home_goals", "away_goals", "minute", "revision"}]}.

import { connect } from "../realtime/socket.js";

function show(state) {
  const match = document.querySelector(`[data-match="${CSS.escape(state.match)}"]`);
  // Older than what we show: it took a longer way.
  if (!match || state.revision <= Number(match.dataset.revision)) return;
  match.dataset.revision = state.revision;
  for (const place of match.querySelectorAll("[data-field]")) {
    const value = String(state[place.dataset.field]);
    if (place.tagName === "INPUT") place.value = value;
    // Only what is different: what is written anew is read out anew.
    else if (place.textContent !== value) place.textContent = value;
  }
}

const socket = connect("/ws/scores/", {
  open: () => socket.send("state"), // whatever was missed
  message: (text) => JSON.parse(text).matches.forEach(show),
});

// Without scripts the forms work as well: then each press loads the page anew.
const told = document.getElementById("told");
for (const form of document.querySelectorAll("form.change")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const body = new FormData(form, event.submitter);
    told.textContent = "";
    try {
      // Redirected to this page: it was changed, and the socket says to what.
      const answer = await fetch(form.action, { method: "POST", body, redirect: "manual" });
      if (answer.type === "opaqueredirect") return;
      told.textContent =
        answer.status === 409
          ? "Not changed: somebody was faster, or the number cannot be. Look, and press again."
          : `Not changed: you may not write now (${answer.status}). Load this page anew.`;
    } catch {
      told.textContent = "Not changed: the server could not be reached.";
    }
  });
}
