// Parts of a page that grow old: once a countdown among them has passed, they are read anew.
import { showCountdowns } from "./countdown.js";
import { showLocalTimes } from "./times.js";

const EVERY_MS = 5000;
const SETTLED_MS = 1500;

const parts = (root) => root.querySelectorAll("[data-refresh]");

function isOld() {
  const passed = Date.now() - SETTLED_MS;
  for (const part of parts(document)) {
    for (const countdown of part.querySelectorAll("[data-until]")) {
      if (Date.parse(countdown.dataset.until) < passed) return true;
    }
  }
  return false;
}

async function refresh() {
  const response = await fetch(location.href, { headers: { "X-Requested-With": "fetch" } });
  if (!response.ok) return;
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const fresh = new Map([...parts(page)].map((part) => [part.dataset.refresh, part]));
  for (const part of parts(document)) {
    const replacement = fresh.get(part.dataset.refresh);
    if (!replacement || part.contains(document.activeElement)) continue;
    showLocalTimes(replacement);
    showCountdowns(replacement);
    if (part.innerHTML !== replacement.innerHTML) part.replaceChildren(...replacement.childNodes);
  }
}

export function keepFresh() {
  if (!document.querySelector("[data-refresh]")) return;
  setInterval(async () => {
    if (document.hidden || !isOld()) return;
    try {
      await refresh();
    } catch {
      // The next time may succeed.
    }
  }, EVERY_MS);
}
