// What every page has: connection state, kill switch, token, keyboard.

import { Problem, change, read, token } from "./api.js";
import { byId, text } from "./dom.js";
import { span } from "./format.js";

const LEVELS = { off: "Freeze", no_new: "Frozen: no new actions", nothing: "Frozen: no writes" };
const READ_ONLY = document.body.dataset.readOnly === "yes";

/** Say something to screen readers. */
export function say(message) {
  text(byId("say"), message);
}

/** Show whether news arrives. */
export function showLink(state, quiet) {
  byId("link").dataset.state = state;
  text(byId("link-text"), { live: "Live", waiting: "Connecting", lost: "No news" }[state]);
  const stale = byId("stale");
  stale.hidden = state !== "lost";
  if (state !== "lost") return;
  const minutes = quiet < 60 ? "" : ` for ${span(quiet)}`;
  text(stale, `Stale: no news from the controller${minutes}. What you see is old, and it may still be acting. Trying again.`);
}

/** Show the kill switch's level. */
export function showKill(level) {
  byId("open-freeze").dataset.level = level;
  text(byId("freeze-text"), LEVELS[level] ?? level);
  const banner = byId("frozen");
  banner.hidden = level === "off";
  text(banner, level === "nothing" ? "The kill switch is thrown: nothing is written, not even an undo." : "The kill switch is thrown: no new actions. What is running may finish or be taken back.");
}

/** Resolve when there is a token; rejects when the person cancels. */
function needToken() {
  if (token.get()) return Promise.resolve();
  const dialog = byId("token-dialog");
  const form = byId("token-form");
  return new Promise((resolve, reject) => {
    const done = () => {
      form.removeEventListener("submit", submit);
      dialog.removeEventListener("close", cancel);
    };
    const submit = (event) => {
      event.preventDefault();
      const data = new FormData(form);
      token.set(String(data.get("token")).trim(), String(data.get("by")).trim());
      done();
      form.reset();
      dialog.close();
      resolve();
    };
    const cancel = () => {
      done();
      reject(new Problem(0, "Nothing was sent: no token was given", ""));
    };
    form.addEventListener("submit", submit);
    dialog.addEventListener("close", cancel);
    dialog.showModal();
  });
}

/** Ask for a token where reading needs one; says whether there is one now. */
export async function enter(problem) {
  if (problem?.status !== 401) return false;
  return needToken().then(() => true, () => false);
}

/** Make a change, asking for the token first; a wrong one is asked for again next time. */
export async function act(path, body) {
  await needToken();
  return change(path, body);
}

function wireFreeze() {
  const dialog = byId("freeze-dialog");
  const form = byId("freeze-form");
  byId("open-freeze").addEventListener("click", () => {
    const level = byId("open-freeze").dataset.level;
    form.reset();
    text(byId("freeze-error"), "");
    // Opening it is a wish to change: offer the other side, and never the same level again.
    form.elements.level.value = level === "off" ? "no_new" : "off";
    dialog.showModal();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const data = new FormData(form);
    try {
      const result = await act("/v1/freeze", { level: data.get("level"), why: data.get("why") });
      showKill(result.level);
      say(`Kill switch: ${LEVELS[result.level]}`);
      dialog.close();
    } catch (error) {
      text(byId("freeze-error"), error.message);
    }
  });
  byId("open-freeze").hidden = READ_ONLY;
}

function wireKeys(keys) {
  const on = byId("keys-on");
  on.checked = localStorage.getItem("homeostat.keys") !== "off";
  on.addEventListener("change", () => localStorage.setItem("homeostat.keys", on.checked ? "on" : "off"));
  byId("open-keys").addEventListener("click", () => byId("keys-dialog").showModal());
  const all = {
    "?": () => byId("keys-dialog").showModal(),
    f: () => !READ_ONLY && byId("open-freeze").click(),
    h: () => location.assign("/"),
    q: () => location.assign("/approvals"),
    ...keys,
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, textarea, select, dialog");
    if (!on.checked || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const run = all[event.key];
    if (run) {
      event.preventDefault();
      run();
    }
  });
}

/** Start the shell; `keys` are the page's own shortcuts. */
export function start(keys = {}) {
  for (const button of document.querySelectorAll("[data-close]")) {
    button.addEventListener("click", () => button.closest("dialog").close());
  }
  wireFreeze();
  wireKeys(keys);
}

if (document.querySelector('script[src="/static/shell.js"]')) {
  start(); // a page without live content of its own
  read("/v1/health").then((health) => {
    showKill(health.kill);
    showLink("live", 0);
  }).catch(() => showLink("lost", 0));
}

export { READ_ONLY };
