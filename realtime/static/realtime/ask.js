// Forms that are sent without leaving the page, so that its socket stays where it is.
//
//   asking(document.getElementById("invite"), (answer, form) => { … });
//
// The view answers with JSON. Its "said" is shown in the form's [role=status], as is a refusal
// ({"error": "…"} with a status of 400 or more), and what goes wrong on the way. A button may
// have a view of its own, by its formaction.

export function asking(form, answered = () => {}) {
  const status = form.querySelector("[role=status]");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = event.submitter ?? form.querySelector("[type=submit]");
    if (button.getAttribute("aria-disabled") === "true") return;
    // Not .disabled: a button that is disabled loses the focus.
    button.setAttribute("aria-disabled", "true");
    say("", "…");
    try {
      const body = new FormData(form);
      const response = await fetch(button.getAttribute("formaction") ?? form.action, {
        method: "POST",
        body,
      });
      if (!response.headers.get("Content-Type")?.startsWith("application/json")) {
        say("error", `The site did not answer as it should (${response.status}). Load the page again.`);
        return;
      }
      const answer = await response.json();
      say(response.ok ? "" : "error", answer.error ?? answer.said ?? "");
      if (response.ok) answered(answer, form);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      say("error", "The site cannot be reached. Try again.");
    } finally {
      button.removeAttribute("aria-disabled");
    }
  });

  function say(kind, text) {
    if (!status) return;
    status.className = kind;
    status.textContent = text;
  }
}
