// Commands come as lines of JSON on standard input, `{"do": NAME, …}`; each is answered by one line on standard output:
// `{"ok": true, …}`, or `{"ok": false, "error": TEXT}`. The first line is `{"ok": true, "ready": true}`.
import { createInterface } from 'node:readline';

/** Calls that failed, and what else went wrong: how many, and the first of them. */
export const failures = { count: 0, first: null };

export function failed(error) {
  failures.count += 1;
  failures.first ??= String(error?.message ?? error);
}

/** Run the handlers by name until standard input ends, then `close`. */
export async function serve(handlers, close) {
  const say = (answer) => process.stdout.write(JSON.stringify(answer) + '\n');
  say({ ok: true, ready: true });
  for await (const line of createInterface({ input: process.stdin })) {
    try {
      const command = JSON.parse(line);
      const handler = handlers[command.do];
      if (!handler) throw new Error(`no such command: ${command.do}`);
      say({ ok: true, ...(await handler(command)) });
    } catch (error) {
      say({ ok: false, error: String(error?.message ?? error) });
    }
  }
  await close();
}

/** `task` for each number below `count`, `width` of them under way at a time. */
export async function forEachNumber(count, width, task) {
  let next = 0;
  const lane = async () => {
    while (next < count) await task(next++);
  };
  await Promise.all(Array.from({ length: Math.min(width, count) }, lane));
}
