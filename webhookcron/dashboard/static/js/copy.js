// Buttons that copy the text of another element.
import { tell } from "./dialogs.js";

async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Without TLS browsers offer no clipboard; selecting leaves the rest to Ctrl+C.
  throw new Error("no clipboard");
}

export function startCopying() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const source = document.querySelector(button.dataset.copy);
    try {
      await copy(source.textContent);
      tell("Copied.");
    } catch {
      getSelection().selectAllChildren(source);
      tell("Selected: press Ctrl+C to copy.");
    }
  });
}
