// The event stream: reconnects, resumes, and says so when what is on the screen is old.

import { credentials } from "./api.js";

const QUIET_MS = 5000; // the server speaks every 2 s at least

/** What EventSource does, with a token: a browser's own sends none. */
class TokenSource extends EventTarget {
  constructor(url) {
    super();
    this.readyState = EventSource.CONNECTING;
    this.run(url).catch(() => {}).finally(() => {
      this.readyState = EventSource.CLOSED;
      this.dispatchEvent(new Event("error"));
    });
  }

  async run(url) {
    const response = await fetch(url, { headers: { accept: "text/event-stream", ...credentials() }, cache: "no-store" });
    if (!response.ok) return;
    this.readyState = EventSource.OPEN;
    this.dispatchEvent(new Event("open"));
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) this.tell(block);
    }
  }

  tell(block) {
    const fields = new Map(block.split("\n").map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trimStart()]));
    if (!fields.has("data")) return;
    this.dispatchEvent(new MessageEvent(fields.get("event") ?? "message", { data: fields.get("data"), lastEventId: fields.get("id") ?? "" }));
  }
}

/**
 * Follow the stream.
 * @param {string} query  deployment and kinds, without `after`
 * @param {string} cursor where the page's data stands
 * @param {Object} handlers by event kind, plus `reset` and `link(state, quietSeconds)`
 */
export function follow(query, cursor, handlers) {
  let source = null;
  let heard = performance.now();
  let state = "waiting";

  const hear = () => {
    heard = performance.now();
    tellLink();
  };
  const tellLink = () => {
    const quiet = performance.now() - heard;
    const next = quiet > QUIET_MS ? "lost" : source?.readyState === EventSource.OPEN ? "live" : "waiting";
    if (next !== state || next === "lost") handlers.link(next, quiet / 1000);
    state = next;
  };
  const connect = () => {
    const Source = document.body.dataset.closed === "yes" ? TokenSource : EventSource;
    source = new Source(`/v1/events?after=${encodeURIComponent(cursor)}${query ? `&${query}` : ""}`);
    source.addEventListener("open", hear);
    source.addEventListener("error", () => {
      // The browser retries by itself, except after an HTTP error.
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, 2000);
    });
    for (const [kind, handle] of Object.entries(handlers)) {
      if (kind === "link") continue;
      source.addEventListener(kind, (event) => {
        if (event.lastEventId) cursor = event.lastEventId;
        hear();
        handle(JSON.parse(event.data));
      });
    }
  };
  connect();
  setInterval(tellLink, 500);
}

/** The controller's time now, from the last beat. */
export class ServerClock {
  constructor(now) {
    this.set(now);
  }

  set(now) {
    this.base = now;
    this.heard = performance.now();
  }

  now() {
    return this.base + (performance.now() - this.heard) / 1000;
  }
}
