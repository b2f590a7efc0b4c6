// Questions before something is done, and short messages after it.
export function ask(text, yes, dangerous = false) {
  const dialog = document.querySelector("#confirm");
  dialog.querySelector("#confirm-text").textContent = text;
  const button = dialog.querySelector("[data-confirm-yes]");
  button.textContent = yes;
  button.classList.toggle("primary", !dangerous);
  button.classList.toggle("danger-fill", dangerous);
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

export function askBeforeSending() {
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.dataset.confirm) return;
    event.preventDefault();
    const dangerous = form.querySelector(".button.danger") !== null;
    if (await ask(form.dataset.confirm, form.dataset.confirmLabel, dangerous)) form.submit();
  });
}

export function tell(text) {
  const toast = document.createElement("div");
  toast.className = "toast";
  toast.textContent = text;
  document.querySelector("#toasts").append(toast);
  setTimeout(() => toast.remove(), 5000);
}
