// Requests of the pages' scripts: with the token of the session, and one error for all that can go wrong.
const token = document.querySelector('meta[name="csrf-token"]').content;

export class RequestFailed extends Error {}

// The answer's JSON; null for an answer without content. `fields` is sent as a form when given.
export async function ask(url, fields = null, options = {}) {
  const headers = { "X-Requested-With": "fetch" };
  let body;
  if (fields !== null) {
    headers["X-CSRF-Token"] = token;
    body = fields instanceof FormData ? fields : new URLSearchParams(fields);
  }
  let response;
  try {
    response = await fetch(url, { method: body ? "POST" : "GET", headers, body, ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new RequestFailed("The server cannot be reached.");
  }
  if (response.status === 401) {
    location.reload();
    throw new RequestFailed("Your session is over.");
  }
  if (response.status === 204) return null;
  const kind = response.headers.get("Content-Type") || "";
  const content = kind.includes("json") ? await response.json() : await response.text();
  if (!response.ok) throw new RequestFailed(content.message || `The server answered ${response.status}.`);
  return content;
}
