// Selecting jobs and doing something with all of them, a part at a time.
import { ask as question } from "./dialogs.js";
import { ask } from "./http.js";

const AT_ONCE = 25;

export function start(main) {
  const bar = main.querySelector("[data-bulk-bar]");
  if (!bar) return;
  const all = main.querySelector("[data-select-all]");
  const boxes = [...main.querySelectorAll("[data-select]")];
  const chosen = () => boxes.filter((box) => box.checked);

  const show = () => {
    const count = chosen().length;
    bar.hidden = count === 0;
    bar.querySelector("[data-bulk-count]").textContent = count;
    all.checked = count === boxes.length;
    all.indeterminate = count > 0 && count < boxes.length;
  };
  all.addEventListener("change", () => {
    for (const box of boxes) box.checked = all.checked;
    show();
  });
  for (const box of boxes) box.addEventListener("change", show);
  bar.querySelector("[data-bulk-clear]").addEventListener("click", () => {
    for (const box of boxes) box.checked = false;
    show();
    all.focus();
  });
  for (const button of bar.querySelectorAll("[data-bulk]")) {
    button.addEventListener("click", async () => {
      const ids = chosen().map((box) => box.value);
      const names = Object.fromEntries(chosen().map((box) => [box.value, box.getAttribute("aria-label").replace(/^Select /, "")]));
      const amount = ids.length === 1 ? `“${names[ids[0]]}”` : `${ids.length} jobs`;
      if (await question(button.dataset.words.replace("{n}", amount), button.textContent.trim())) {
        await run(bar.dataset.url, button.dataset.bulk, button.textContent.trim(), ids, names);
      }
    });
  }
  // A page that comes back from the history may keep its ticks.
  show();
}

async function run(url, action, label, ids, names) {
  const dialog = document.querySelector("#bulk-progress").content.cloneNode(true).querySelector("dialog");
  document.body.append(dialog);
  const part = (name) => dialog.querySelector(`[data-${name}]`);
  part("title").textContent = `${label}: ${ids.length} jobs`;
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
      for (const [id, sentence] of Object.entries(results)) if (sentence) problem(`${names[id]}: ${sentence}`);
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
