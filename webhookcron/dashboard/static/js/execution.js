// The page of an execution follows it until it is final.
import { showCountdowns } from "./countdown.js";
import { ask } from "./http.js";
import { showLocalTimes } from "./times.js";

const EVERY_MS = 1000;

export function start(main) {
  const part = main.querySelector("[data-execution-state]");
  const underWay = () => part.querySelector("[data-under-way]") !== null;
  async function look() {
    try {
      const html = await ask(main.dataset.part);
      if (html !== part.dataset.shown && !part.contains(document.activeElement)) {
        part.innerHTML = html;
        part.dataset.shown = html;
        showLocalTimes(part);
        showCountdowns(part);
      }
    } catch {
      // The next look may succeed.
    }
    if (underWay()) setTimeout(look, EVERY_MS);
  }
  if (underWay()) setTimeout(look, EVERY_MS);
}
