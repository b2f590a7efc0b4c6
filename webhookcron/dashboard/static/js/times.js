// Moments in the zone of this browser. The server writes them so itself once the cookie tells it the zone.
const COOKIE = "webhookcron_zone";
const here = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
const known = document.cookie.split("; ").includes(`${COOKIE}=${here}`);

if (!known) document.cookie = `${COOKIE}=${here}; path=/dashboard; max-age=31536000; samesite=lax`;

const format = new Intl.DateTimeFormat("en-CA", {
  year: "numeric", month: "2-digit", day: "2-digit",
  hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23",
});

export function showLocalTimes(root) {
  if (known) return;
  for (const element of root.querySelectorAll("time[data-local]")) {
    const part = Object.fromEntries(format.formatToParts(new Date(element.dateTime)).map((p) => [p.type, p.value]));
    const clock = `${part.hour}:${part.minute}:${part.second}`;
    const date = `${part.year}-${part.month}-${part.day}`;
    element.textContent = { clock, day: date, s: `${date} ${clock}`, ms: `${date} ${clock}.${part.fractionalSecond}` }[element.dataset.local];
  }
}
