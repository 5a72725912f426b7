// The source pages: a button that copies a file. Where a browser has no clipboard for us
// (an address that is neither https: nor of this machine), there is no button.

const copied = document.getElementById("copied");

for (const button of document.querySelectorAll("button.copy")) {
  const file = button.closest(".file");
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(file.querySelector("code").textContent);
      button.textContent = "Copied";
      copied.textContent = `${file.querySelector("h2").textContent} is copied.`;
    } catch {
      button.textContent = "Not allowed";
      copied.textContent = "The browser did not let us copy: mark the text, and copy it yourself.";
    }
  });
}
