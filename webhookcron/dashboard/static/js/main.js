// What every page does; what a single page does besides is named by its <main data-module="…">.
import { keepCountdowns } from "./countdown.js";
import { askBeforeSending } from "./dialogs.js";
import { sendOnce } from "./once.js";
import { keepFresh } from "./refresh.js";
import { showLocalTimes } from "./times.js";
import { startTheme } from "./theme.js";
import { startCopying } from "./copy.js";

const MODULES = {
  "jobs": () => import("./jobs.js"),
  "job-form": () => import("./job-form.js"),
  "live-log": () => import("./live-log.js"),
  "execution": () => import("./execution.js"),
};

showLocalTimes(document);
keepCountdowns();
keepFresh();
startTheme();
startCopying();
askBeforeSending();
sendOnce();

for (const element of document.querySelectorAll("[data-needs-script]")) element.hidden = false;
document.querySelector("[data-focus-first]")?.focus();

for (const form of document.querySelectorAll("form[data-auto-submit]")) {
  for (const choice of form.querySelectorAll("select")) {
    choice.addEventListener("change", () => form.requestSubmit());
  }
  // Empty fields make no part of the address.
  form.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
  });
}

for (const button of document.querySelectorAll("[data-open]")) {
  button.addEventListener("click", () => document.querySelector(button.dataset.open).showModal());
}

const load = MODULES[document.querySelector("main")?.dataset.module];
if (load) load().then((module) => module.start(document.querySelector("main")));
