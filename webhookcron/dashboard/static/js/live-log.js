// A list of executions that keeps itself up to date: by a stream, else by asking every two seconds.
// Both bring the same: the rows that changed since a cursor, and the order of all.
import { showCountdowns } from "./countdown.js";
import { ask } from "./http.js";
import { showLocalTimes } from "./times.js";

const POLL_MS = 2000;
const SILENT_MS = 12000;

export function start(main) {
  const rows = main.querySelector("[data-live-rows]");
  const state = main.querySelector("[data-live-state]");
  const toggle = main.querySelector("[data-live-toggle]");
  let cursor = main.dataset.cursor;
  let held = false;
  let source = null;
  let timer = null;
  let heard = Date.now();

  main.querySelector("[data-live-control]").hidden = false;

  const show = (text, kind) => {
    if (state.textContent !== text) state.textContent = text;
    state.className = `live-state ${kind}`;
  };
  const take = (update) => {
    cursor = update.cursor;
    apply(main, rows, update);
  };
  const withCursor = (url) => {
    const full = new URL(url, location.href);
    full.searchParams.set("cursor", cursor);
    return full;
  };

  async function poll() {
    try {
      const update = await ask(withCursor(main.dataset.rows));
      if (update) take(update);
      show("Live, every 2 s", "is-on");
    } catch {
      show("Connection lost, trying again", "is-off");
    }
    if (!held) timer = setTimeout(poll, POLL_MS);
  }

  function stream() {
    source = new EventSource(withCursor(main.dataset.stream));
    source.addEventListener("open", () => { heard = Date.now(); show("Live", "is-on"); });
    source.addEventListener("message", (event) => {
      heard = Date.now();
      take(JSON.parse(event.data));
      show("Live", "is-on");
    });
    source.addEventListener("error", () => {
      // A stream ends by itself every few seconds and connects anew. One that was refused does not.
      if (source.readyState === EventSource.CLOSED) {
        stop();
        poll();
      } else if (Date.now() - heard > SILENT_MS) {
        show("Connection lost, trying again", "is-off");
      }
    });
  }

  function stop() {
    source?.close();
    source = null;
    clearTimeout(timer);
  }

  toggle.addEventListener("click", () => {
    held = !held;
    toggle.setAttribute("aria-pressed", String(held));
    stop();
    if (held) show("Held", "");
    else stream();
  });
  document.addEventListener("visibilitychange", () => {
    if (held) return;
    stop();
    if (!document.hidden) stream();
  });
  addEventListener("pagehide", stop);
  stream();
}

function apply(main, rows, update) {
  const holder = document.createElement("template");
  const present = new Map([...rows.children].map((row) => [row.dataset.execution, row]));
  for (const [id, html] of Object.entries(update.rows)) {
    holder.innerHTML = html;
    const row = holder.content.querySelector("tr");
    showLocalTimes(row);
    showCountdowns(row);
    const before = present.get(id);
    if (before) {
      const focused = before.contains(document.activeElement);
      before.replaceWith(row);
      if (focused) row.querySelector("a").focus();
    } else {
      row.classList.add("is-new");
    }
    present.set(id, row);
  }
  let last = null;
  for (const id of update.order) {
    const row = present.get(id);
    if (!row) continue;
    const expected = last ? last.nextElementSibling : rows.firstElementChild;
    if (row !== expected) rows.insertBefore(row, expected);
    last = row;
    present.delete(id);
  }
  for (const row of present.values()) row.remove();
  main.querySelector("[data-live-card]").hidden = update.order.length === 0;
  const empty = main.querySelector("[data-live-empty]");
  if (empty) empty.hidden = update.order.length > 0;
}
