// Selecting jobs and doing something with all of them, a part at a time.
import { ask as question, tell } from "./dialogs.js";
import { ask } from "./http.js";

const AT_ONCE = 100;

export function start(main) {
  const bar = main.querySelector("[data-bulk-bar]");
  if (!bar) return;
  const all = main.querySelector("[data-select-all]");
  const boxes = [...main.querySelectorAll("[data-select]")];
  const chosen = () => boxes.filter((box) => box.checked);
  const everything = bar.querySelector("[data-bulk-all]");
  // Ids of all jobs that match, pages aside; null = those with a tick.
  let matching = null;

  const show = () => {
    const count = matching ? matching.length : chosen().length;
    bar.hidden = count === 0;
    bar.querySelector("[data-bulk-count]").textContent = count.toLocaleString("en");
    all.checked = chosen().length === boxes.length;
    all.indeterminate = chosen().length > 0 && !all.checked;
    if (everything) everything.hidden = !all.checked || matching !== null;
  };
  const tick = (value) => {
    for (const box of boxes) box.checked = value;
    matching = null;
    show();
  };
  all.addEventListener("change", () => tick(all.checked));
  for (const box of boxes) box.addEventListener("change", () => { matching = null; show(); });
  bar.querySelector("[data-bulk-clear]").addEventListener("click", () => { tick(false); all.focus(); });
  everything?.addEventListener("click", async () => {
    try {
      matching = (await ask(bar.dataset.idsUrl)).ids;
      show();
    } catch (error) {
      tell(error.message);
    }
  });
  const names = Object.fromEntries(boxes.map((box) => [box.value, box.getAttribute("aria-label").replace(/^Select /, "")]));
  for (const button of bar.querySelectorAll("[data-bulk]")) {
    button.addEventListener("click", async () => {
      const ids = matching ?? chosen().map((box) => box.value);
      const amount = ids.length === 1 ? `“${names[ids[0]]}”` : `${ids.length.toLocaleString("en")} jobs`;
      const label = button.textContent.trim();
      const dangerous = button.classList.contains("danger");
      if (await question(button.dataset.words.replace("{n}", amount), label, dangerous)) {
        await run(bar.dataset.url, button.dataset.bulk, `${label}: ${amount}`, ids, names);
      }
    });
  }
  // A page that comes back from the history may keep its ticks.
  show();
}

async function run(url, action, title, ids, names) {
  const dialog = document.querySelector("#bulk-progress").content.cloneNode(true).querySelector("dialog");
  document.body.append(dialog);
  const part = (name) => dialog.querySelector(`[data-${name}]`);
  part("title").textContent = title;
  part("progress").max = ids.length;
  let stopped = false;
  part("stop").addEventListener("click", () => { stopped = true; });
  part("close").addEventListener("click", () => location.reload());
  dialog.addEventListener("cancel", (event) => { event.preventDefault(); stopped = true; });
  dialog.showModal();

  let done = 0;
  let failed = 0;
  const problem = (text) => {
    failed += 1;
    part("problems").hidden = false;
    const line = document.createElement("li");
    line.textContent = text;
    part("problems").append(line);
  };
  for (let start = 0; start < ids.length && !stopped; start += AT_ONCE) {
    const these = ids.slice(start, start + AT_ONCE);
    try {
      const { results } = await ask(url, { action, ids: these.join(",") });
      for (const [id, sentence] of Object.entries(results)) if (sentence) problem(`${names[id] ?? id}: ${sentence}`);
    } catch (error) {
      problem(error.message);
      break;
    }
    done += these.length;
    part("progress").value = done;
    part("status").textContent = `${done} of ${ids.length}`;
  }
  if (!failed && !stopped) {
    location.reload();
    return;
  }
  part("status").textContent = `${done - failed} of ${ids.length} done${failed ? `, ${failed} not` : ""}.`;
  part("stop").hidden = true;
  part("close").hidden = false;
  part("close").focus();
}
