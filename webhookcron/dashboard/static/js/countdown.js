// "in 3 m 20 s", kept up to date.
export function words(milliseconds) {
  const total = Math.round(milliseconds / 1000);
  if (total <= 0) return total > -5 ? "now" : "due";
  const days = Math.floor(total / 86400);
  const hours = Math.floor((total % 86400) / 3600);
  const minutes = Math.floor((total % 3600) / 60);
  const seconds = total % 60;
  if (days) return `in ${days} d${hours ? ` ${hours} h` : ""}`;
  if (hours) return `in ${hours} h${minutes ? ` ${minutes} m` : ""}`;
  if (minutes) return `in ${minutes} m ${seconds} s`;
  return `in ${seconds} s`;
}

export function showCountdowns(root) {
  const now = Date.now();
  for (const element of root.querySelectorAll("[data-until]")) {
    const text = words(Date.parse(element.dataset.until) - now);
    if (element.textContent !== text) element.textContent = text;
  }
}

export function keepCountdowns() {
  showCountdowns(document);
  setInterval(() => {
    if (!document.hidden) showCountdowns(document);
  }, 1000);
  document.addEventListener("visibilitychange", () => showCountdowns(document));
}
