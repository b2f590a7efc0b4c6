// The job form: parts that depend on choices, a preview while one types, a check of the JSON, a test call.
import { showCountdowns } from "./countdown.js";
import { startCurlImport } from "./curl-import.js";
import { ask } from "./http.js";
import { showLocalTimes } from "./times.js";

const PREVIEW_AFTER_MS = 250;
const SCHEDULE = ["schedule_type", "cron_expression", "interval", "interval_value", "run_at", "timezone", "start_at", "end_at"];

export function start(main) {
  const form = main.querySelector("[data-job-form]");
  const showParts = () => showDependent(form);
  form.addEventListener("change", showParts);
  showParts();
  startPreview(form);
  startJsonCheck(form);
  startTrial(form);
  // As if someone had made all those changes.
  startCurlImport(form, () => form.dispatchEvent(new Event("change", { bubbles: true })));
}

function showDependent(form) {
  for (const part of form.querySelectorAll("[data-when]")) {
    const [name, value] = part.dataset.when.split("=");
    const field = form.elements[name];
    part.hidden = (field?.value ?? "") !== value;
  }
}

// Sentences at their fields; those of `fields` that have none any more are cleared.
export function showErrors(form, errors, fields = null) {
  for (const place of form.querySelectorAll("[data-error-of]")) {
    const name = place.dataset.errorOf;
    if (fields && !fields.includes(name)) continue;
    const sentences = errors[name] || [];
    place.textContent = sentences.join(" ");
    place.hidden = sentences.length === 0;
    const input = form.querySelector(`#${name}`);
    if (sentences.length) {
      input?.setAttribute("aria-invalid", "true");
      for (let fold = place.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    } else {
      input?.removeAttribute("aria-invalid");
    }
  }
}

function scheduleOf(form) {
  return [...new FormData(form)].filter(([name]) => SCHEDULE.includes(name));
}

function startPreview(form) {
  const targets = [...form.querySelectorAll("[data-preview-target]")];
  let timer = null;
  let latest = null;
  const hint = targets.at(-1).innerHTML;

  const empty = () => {
    const type = form.elements.schedule_type.value;
    const field = { cron: "cron_expression", interval: "interval_value", once: "run_at" }[type];
    return form.elements[field].value.trim() === "";
  };

  async function look() {
    latest?.abort();
    if (empty()) {
      for (const target of targets) target.innerHTML = hint;
      showErrors(form, {}, SCHEDULE);
      return;
    }
    latest = new AbortController();
    try {
      const answer = await ask(form.dataset.preview, scheduleOf(form), { signal: latest.signal });
      showErrors(form, answer.errors, SCHEDULE);
      for (const target of targets) {
        if (answer.html) target.innerHTML = answer.html;
        target.classList.toggle("is-stale", !answer.html);
        showLocalTimes(target);
        showCountdowns(target);
      }
    } catch {
      // Replaced by a later look, or the server is away: saving tells.
    }
  }

  const soon = (event) => {
    if (event.target.name && !SCHEDULE.includes(event.target.name)) return;
    clearTimeout(timer);
    timer = setTimeout(look, PREVIEW_AFTER_MS);
  };
  form.addEventListener("input", soon);
  form.addEventListener("change", soon);
  for (const chip of form.querySelectorAll("[data-cron]")) {
    chip.addEventListener("click", () => {
      form.elements.cron_expression.value = chip.dataset.cron;
      form.elements.cron_expression.focus();
      look();
    });
  }
  if (!form.querySelector('[data-error-of="cron_expression"]:not([hidden])')) look();
}

function startJsonCheck(form) {
  const area = form.elements.payload;
  const state = form.querySelector("[data-json-state]");
  const isJson = () => {
    const type = form.elements.content_type.value.trim();
    return type === "" || type.toLowerCase().includes("json");
  };
  const refused = form.querySelector('[data-error-of="payload"]');
  const check = () => {
    const text = area.value.trim();
    // What the server told about the same text is enough.
    state.hidden = text === "" || !isJson() || !refused.hidden;
    if (state.hidden) return;
    state.replaceChildren();
    try {
      const value = JSON.parse(text);
      state.className = "json-state is-good";
      state.append("This is JSON.");
      const pretty = JSON.stringify(value, null, 2);
      // Numbers that a browser cannot hold exactly must not be rewritten by it.
      if (pretty !== text && !/\d{16,}|\d\.\d{15,}/.test(text)) {
        const button = document.createElement("button");
        button.type = "button";
        button.className = "plain";
        button.textContent = "Indent it";
        button.addEventListener("click", () => { area.value = pretty; check(); area.focus(); });
        state.append(button);
      }
    } catch (error) {
      state.className = "json-state is-bad";
      state.append(`Not JSON yet: ${place(text, error)}.`);
    }
  };
  area.addEventListener("input", () => {
    showErrors(form, {}, ["payload"]);
    check();
  });
  form.addEventListener("change", check);
  check();
}

function place(text, error) {
  const at = /position (\d+)/.exec(error.message);
  if (!at) return "it ends too early";
  const before = text.slice(0, Number(at[1])).split("\n");
  return `line ${before.length}, column ${before.at(-1).length + 1}`;
}

function startTrial(form) {
  const button = form.querySelector("[data-send-trial]");
  const target = form.querySelector("[data-trial-result]");
  button.addEventListener("click", async () => {
    button.disabled = true;
    target.textContent = "Calling…";
    try {
      const answer = await ask(form.dataset.trial, new FormData(form));
      const requestFields = [...form.querySelectorAll("[data-error-of]")]
        .map((place) => place.dataset.errorOf)
        .filter((name) => !SCHEDULE.includes(name));
      showErrors(form, answer.errors, requestFields);
      const first = Object.keys(answer.errors)[0];
      target.textContent = first === undefined ? "" : "Something in the form has to be mended first.";
      if (answer.html) {
        target.innerHTML = answer.html;
        showLocalTimes(target);
      } else if (first) {
        form.querySelector(`#${first}`)?.focus();
      }
    } catch (error) {
      target.textContent = error.message;
    } finally {
      button.disabled = false;
    }
  });
}
