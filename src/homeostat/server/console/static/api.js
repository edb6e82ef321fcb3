// Reads and changes through the API. The token lives in this tab only (sessionStorage).

const TOKEN = "homeostat.token";
const PERSON = "homeostat.by";

/** An answer of 400 and above, with its detail and its fix. */
export class Problem extends Error {
  constructor(status, detail, fix) {
    super(fix ? `${detail}. ${fix}` : detail);
    this.status = status;
  }
}

async function answered(response) {
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem(response.status, body.detail ?? `HTTP ${response.status}`, body.fix);
  return body;
}

/** The token as a header, if there is one: reading needs it once people have tokens of their own. */
export function credentials() {
  return token.get() ? { authorization: `Bearer ${token.get()}` } : {};
}

export async function read(path) {
  const response = await fetch(path, { headers: { accept: "application/json", ...credentials() }, cache: "no-store" });
  if (response.status === 401) token.forget();
  return answered(response);
}

export const token = {
  get: () => sessionStorage.getItem(TOKEN),
  // A token of one's own says who it is; with the shared one people say it themselves.
  by: () => (sessionStorage.getItem(TOKEN)?.startsWith("hs_") ? undefined : sessionStorage.getItem(PERSON) ?? "operator"),
  set(value, by) {
    sessionStorage.setItem(TOKEN, value);
    sessionStorage.setItem(PERSON, by);
  },
  forget: () => sessionStorage.removeItem(TOKEN),
};

/** Send one change; the caller has made sure that there is a token. */
export async function change(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${token.get() ?? ""}` },
    body: JSON.stringify({ by: token.by(), ...body }),
  });
  if (response.status === 401) token.forget();
  return answered(response);
}
