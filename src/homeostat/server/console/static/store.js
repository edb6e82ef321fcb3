// The page's copy of the series: one time axis, one column set a series, the last 15 minutes.

const KEEP = 900;
const key = (subject, signal) => `${subject}\n${signal}`;

export class Store {
  constructor() {
    this.at = [];
    this.series = new Map();
  }

  /** Take everything from `/v1/deployments/NAME/series`. */
  load(body) {
    this.at = body.at.slice();
    this.series = new Map(body.series.map((s) => [key(s.subject, s.signal), { value: s.value, low: s.low, high: s.high, verdict: [...s.verdict] }]));
  }

  /** Take one tick from the stream; a time that went back replaces what came after it. */
  push({ at, points }) {
    while (this.at.length && this.at[this.at.length - 1] >= at) this.drop(-1);
    const seen = new Map(points.map((point) => [key(point[0], point[1]), point]));
    for (const name of seen.keys()) {
      if (!this.series.has(name)) {
        const gaps = () => this.at.map(() => null);
        this.series.set(name, { value: gaps(), low: gaps(), high: gaps(), verdict: this.at.map(() => "u") });
      }
    }
    this.at.push(at);
    for (const [name, series] of this.series) {
      const point = seen.get(name);
      series.value.push(point ? point[2] : null);
      series.low.push(point ? point[3] : null);
      series.high.push(point ? point[4] : null);
      series.verdict.push(point ? point[5] : "u");
    }
    while (this.at.length > KEEP) this.drop(0);
  }

  drop(end) {
    const cut = (list) => (end === 0 ? list.shift() : list.pop());
    cut(this.at);
    for (const series of this.series.values()) for (const list of Object.values(series)) cut(list);
  }

  parts(name) {
    return name.split("\n");
  }

  /** Series that match, sorted. */
  keys(matches) {
    return [...this.series.keys()].filter((name) => matches(...this.parts(name))).sort();
  }
}
