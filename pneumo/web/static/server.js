// Requests to the server that this page came from, with the token where it wants one.

const KEY = "pneumo-token"; // in this tab alone: sessionStorage ends with it
const TRIES = 5;

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export const hasToken = () => sessionStorage.getItem(KEY) !== null;
export const keepToken = (token) => sessionStorage.setItem(KEY, token);
export const forgetToken = () => sessionStorage.removeItem(KEY);

// The JSON of an answer. Throws Refused with a sentence for people. Waits and tries again while the server is busy.
export async function ask(path, options = {}) {
  for (let tried = 1; ; tried += 1) {
    const answer = await sent(path, options);
    if (answer.ok) return answer.json();
    if (answer.status === 503 && tried < TRIES) {
      await new Promise((resolve) => setTimeout(resolve, 1000 * Number(answer.headers.get("Retry-After") ?? 2)));
      continue;
    }
    const problem = await answer.json().catch(() => null);
    const text = problem ? `${problem.detail} ${problem.remedy}` : `The server answered with status ${answer.status}.`;
    throw new Refused(answer.status, text);
  }
}

async function sent(path, options) {
  const headers = hasToken() ? { Authorization: `Bearer ${sessionStorage.getItem(KEY)}` } : {};
  try {
    return await fetch(path, { ...options, headers, cache: "no-store", credentials: "omit" });
  } catch {
    throw new Refused(0, "The server cannot be reached. Check that pneumo serve is still running, and try again.");
  }
}
