// Filling the form from a cURL command line.
import { tell } from "./dialogs.js";
import { ask } from "./http.js";

export function startCurlImport(form, filled) {
  const dialog = document.querySelector("#curl-dialog");
  const line = dialog.querySelector("#curl-line");
  const error = dialog.querySelector("#curl-error");
  dialog.querySelector("[data-import]").addEventListener("click", async () => {
    error.hidden = true;
    try {
      const { values, notes } = await ask(dialog.dataset.curl, { line: line.value });
      fill(form, values);
      dialog.close();
      filled();
      tell(["Filled in from the command.", ...notes.map((note) => `Note: ${note}.`)].join(" "));
    } catch (failure) {
      error.textContent = failure.message;
      error.hidden = false;
      line.focus();
    }
  });
}

function fill(form, values) {
  for (const [name, value] of Object.entries(values)) {
    const field = form.elements[name];
    if (!field) continue;
    if (field.type === "checkbox") field.checked = value === "on";
    else field.value = value;
    if (value) field.closest("details")?.setAttribute("open", "");
  }
}
