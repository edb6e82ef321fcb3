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

export async function read(path) {
  return answered(await fetch(path, { headers: { accept: "application/json" }, cache: "no-store" }));
}

export const token = {
  get: () => sessionStorage.getItem(TOKEN),
  by: () => sessionStorage.getItem(PERSON) ?? "operator",
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
