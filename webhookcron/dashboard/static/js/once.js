// A form is sent once, however often its button is pressed while the answer is under way.
const FORGOTTEN_AFTER_MS = 5000;

export function sendOnce() {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    // Asked as an attribute: a field of the form may be called "method", too.
    if (event.defaultPrevented || form.getAttribute("method") !== "post") return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    // The answer is another page; where it does not come, one may try again.
    setTimeout(() => delete form.dataset.sent, FORGOTTEN_AFTER_MS);
  });
  // A page that comes back from the history is as it was left.
  addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });
}
