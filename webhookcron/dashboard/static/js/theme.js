// System, light or dark; the choice is kept in a cookie, so that the server writes it into the page.
const COOKIE = "webhookcron_theme";
const NEXT = { system: "light", light: "dark", dark: "system" };
const NAMES = { system: "Theme: system", light: "Theme: light", dark: "Theme: dark" };
const root = document.documentElement;

function show(theme, button) {
  button.querySelector("[data-theme-name]").textContent = NAMES[theme];
}

export function startTheme() {
  const button = document.querySelector("[data-theme-switch]");
  if (!button) return;
  let theme = root.dataset.theme || "system";
  show(theme, button);
  button.addEventListener("click", () => {
    theme = NEXT[theme];
    if (theme === "system") delete root.dataset.theme;
    else root.dataset.theme = theme;
    const age = theme === "system" ? 0 : 31536000;
    document.cookie = `${COOKIE}=${theme}; path=/dashboard; max-age=${age}; samesite=lax`;
    show(theme, button);
  });
}
