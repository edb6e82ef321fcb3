// Numbers, times and names as people read them. Absence is "–" or a word, never zero.

const SIGNALS = {
  latency_p95_ms: ["p95 latency", "ms"], latency_p50_ms: ["Median latency", "ms"],
  error_ratio: ["Errors", "%"], refused_ratio: ["Refused", "%"], arrival_rate: ["Requests", "/s"],
  accuracy: ["Accuracy", "%"], label_coverage: ["Labelled", "%"], prediction_shift: ["Prediction shift", ""],
  feature_shift: ["Feature shift", ""], invalid_share: ["Invalid predictions", "%"],
  probe_latency_ms: ["Probe latency", "ms"], device_time_ms: ["Device time per batch", "ms"],
  activation_shift: ["Activation shift", ""], reconstruction_error: ["Reconstruction error", "-log10 p"],
  latent_divergence: ["Latent divergence", "-log10 p"],
  device_memory_share: ["Device memory", "%"], device_share: ["Device busy", "%"],
  memory_share: ["Memory", "%"], queue_length: ["Queue", ""], batch_size: ["Batch size", ""],
};
const VERBS = {
  hold: "Hold", scale_up: "Scale up", scale_down: "Scale down", resize_up: "Resize up", resize_down: "Resize down",
  batch_up: "Raise the batch of", batch_down: "Lower the batch of", shift_traffic: "Shift traffic to", rollback: "Roll back",
  restart_replica: "Restart", drain_replica: "Drain", shed_load: "Shed load at the", retrain: "Retrain the",
  restart_all: "Restart all of the", escalate: "Tell a person about the",
};
const FAMILIES = {
  replica: "A replica misbehaves", memory: "Memory runs out", device_memory: "A device's memory runs out", release: "A bad release", output: "Broken predictions",
  load: "More load than usual", batching: "Batches are full", drift: "Inputs have drifted", sensor: "The data cannot be believed",
  work: "Requests take more than usual", frontend: "The front end is the bottleneck", network: "Replicas are hard to reach",
  dependency: "Something behind the replicas is slow", starting: "Replicas are still starting", quality: "Answers have changed a little",
  budget: "An error budget burns", control: "Somebody moved a lever", unclear: "Something is wrong, cause unclear",
};
export const HEALTH = {
  ok: "Within limits", learning: "Learning what is normal", unknown: "Not enough data", breach: "Objective missed",
  incident: "Incident open", asking: "Waiting for you", healing: "Healing",
};

export const signalName = (signal) => SIGNALS[signal]?.[0] ?? signal;
export const unitOf = (signal) => SIGNALS[signal]?.[1] ?? "";
export const familyName = (family) => FAMILIES[family] ?? family;
export const words = (snake) => String(snake).replaceAll("_", " ");

/** "replica:a-2" -> "a-2", "pool:a" -> "pool a". */
export function subjectName(subject) {
  const [kind, name] = String(subject).split(/:(.*)/s);
  if (name === undefined) return kind;
  return kind === "replica" ? name : `${kind} ${name}`;
}

/** {kind, subject} -> "Restart a-2". */
export function actionName(action) {
  if (!action || action.kind === "hold") return "Hold";
  return `${VERBS[action.kind] ?? words(action.kind)} ${subjectName(action.subject)}`;
}

/** "restart_replica replica:a-2 (incarnation.a-2=2)" -> "Restart a-2 (incarnation.a-2=2)". */
export function labelName(label) {
  const [, kind, subject, rest] = /^(\w+)(?: (\S+)(.*))?$/s.exec(label) ?? [];
  if (!(kind in VERBS)) return label;
  return subject ? actionName({ kind, subject }) + rest : kind === "escalate" ? "Tell a person" : VERBS[kind];
}

/** A value in the unit people read (ratios as percent). */
export function shown(signal, value) {
  return value === null || value === undefined ? null : unitOf(signal) === "%" ? value * 100 : value;
}

/** 12345 -> "12,345"; the browser's own formatter takes longer to load than the page to draw. */
const whole = (value) => String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ",");

/** Two to three significant digits, no exponent. */
export function number(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 100 || value === 0) return whole(value);
  return size >= 10 ? value.toFixed(1).replace(/\.0$/, "") : size >= 1 ? value.toFixed(2).replace(/0$/, "") : value.toFixed(size >= 0.1 ? 2 : 3);
}

/** "63 ms", "0.12 %", "–". */
export function quantity(signal, value) {
  const text = number(shown(signal, value));
  const unit = unitOf(signal);
  return text === "–" || !unit ? text : unit === "/s" ? `${text}/s` : `${text} ${unit}`;
}

export function clock(at) {
  return at === null || at === undefined ? "–" : new Date(at * 1000).toLocaleTimeString("en-GB");
}

/** "14:02" */
export const minute = (at) => clock(at).slice(0, 5);

/** Seconds as "4.2 s", "3 min 5 s", "2 h 10 min", "4 d". */
export function span(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  const s = Math.max(0, seconds);
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 60) return `${Math.round(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${Math.round(s % 60)} s`;
  if (s < 172800) return `${Math.floor(s / 3600)} h ${Math.round((s % 3600) / 60)} min`;
  return `${Math.round(s / 86400)} d`;
}

export function bytes(value) {
  if (value === null || value === undefined) return "–";
  return value >= 1 << 30 ? `${(value / (1 << 30)).toFixed(2)} GiB` : `${Math.round(value / (1 << 20))} MiB`;
}

const CONCERNS = { objective: "Objective", breach: "Forecast", time_left: "Time left", alarm: "Alarm", suspicion: "Suspicion" };

/** The health score: "87", "at most 70" where not all is known, "not known" where nothing can be said. */
export function scored(health) {
  if (!health || health.score === null) return "not known";
  if (health.verdict !== "unknown") return whole(health.score);
  return health.score > 0 ? `${whole(health.score)}, ${whole(health.low)} to ${whole(health.high)}` : "not known";
}

/** One part: "Forecast: p95 latency of gateway: 3 % within 5 min". */
export function partName(part) {
  const what = part.concern === "suspicion" ? familyName(part.signal) : signalName(part.signal);
  return `${CONCERNS[part.concern] ?? words(part.concern)}: ${what} (${subjectName(part.subject)}): ${part.because}`;
}
