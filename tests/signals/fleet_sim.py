"""A fleet of batching model servers behind a gateway, request by request, as its pages tell it.

Same numbers as the local deployment: three replicas of the stable pool, one of the older version,
about 100 requests per second, device time 30 ms + 3.5 ms per request in a batch, batches of 8.
Faults are attributes; pages can fail, freeze or turn to zeros on their own.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate

import numpy as np

from homeostat.base import names, raw
from homeostat.base.evidence import Kind, Observation, Quality, SeriesKey, SourceReport
from homeostat.base.policy import GuardPolicy, Managed, Mode, Objective
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Release, Replica, ReplicaState, Snapshot

LATENCY_BOUNDS = (5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 150.0, 200.0, 250.0, 300.0, 500.0, 1000.0,
                  2500.0, 5000.0, np.inf)  # fmt: skip
UNIT_BOUNDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, np.inf)
FEATURE_BOUNDS = (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, np.inf)
FEATURES = ("income", "age", "debt")
START = 1_800_000_000 * SECOND
TIMEOUT_S = 2.0


def managed(*, evidence_rules: bool = True) -> Managed:
    """Return the deployment's configuration."""
    return Managed(
        name="credit",
        mode=Mode.AUTO,
        scrape_ns=SECOND,
        objective=Objective(latency_p95_ms=250.0, error_ratio=0.01, accuracy=0.8),
        stable_pool="a",
        fallback_pool="b",
        scale_actuator="host",
        traffic_actuator="envoy",
        replica_usd_per_hour=1.0,
        guard=GuardPolicy(evidence_rules=evidence_rules),
        policy_digest="0" * 64,
    )


class Counts:
    """Counters of one page, and its buckets, each of which counts its own values alone."""

    def __init__(self) -> None:
        self.plain: dict[str, float] = {}
        self.buckets: dict[str, tuple[tuple[float, ...], list[int]]] = {}

    def add(self, signal: str, by: float = 1.0) -> None:
        self.plain[signal] = self.plain.get(signal, 0.0) + by

    def observe(self, signal: str, bounds: tuple[float, ...], values: Iterable[float]) -> None:
        _, counts = self.buckets.setdefault(signal, (bounds, [0] * len(bounds)))
        for value in values:
            counts[bisect_left(bounds, value)] += 1


@dataclass
class Server:
    """One replica: its process, its faults and its page."""

    name: str
    pool: str
    version: str
    rng: np.random.Generator
    started: float
    slowdown: float = 1.0
    hung: bool = False
    gone: bool = False
    leak: float = 0.0
    failure_ratio: float = 0.0
    output: str = "fine"
    incarnation: int = 1
    memory: float = 150e6
    free_at: float = 0.0
    queue: list[float] = field(default_factory=list)
    page: Counts = field(default_factory=Counts)
    probes: float = 0.0

    def __post_init__(self) -> None:
        for signal in (raw.REQUESTS_ARRIVED, raw.REQUESTS_OK, raw.REQUESTS_5XX,
                       raw.REQUESTS_REFUSED, raw.BATCHES, raw.BATCH_SIZE_SUM, raw.FULL_BATCHES,
                       raw.DEVICE_SECONDS, raw.PREDICTIONS_INVALID, raw.CPU_SECONDS):  # fmt: skip
            self.page.add(signal, 0.0)
        self.page.observe(raw.LATENCY, LATENCY_BOUNDS, ())
        self.page.observe(raw.PREDICTION, UNIT_BOUNDS, ())
        for feature in FEATURES:
            self.page.observe(raw.feature(feature), FEATURE_BOUNDS, ())

    def restart(self, now: float, version: str | None = None) -> None:
        """Replace the process: counters start again, faults of the process are gone."""
        fresh = Server(self.name, self.pool, version or self.version, self.rng, now)
        fresh.incarnation, fresh.probes = self.incarnation + 1, self.probes
        fresh.free_at = now
        self.__dict__.update(fresh.__dict__)

    @property
    def state(self) -> ReplicaState:
        return ReplicaState.GONE if self.gone else ReplicaState.READY


class FleetSim:
    """The deployment; `tick()` plays one second and returns what sources and read-back say."""

    def __init__(self, seed: int = 0, rate: float = 100.0) -> None:
        self.rng = np.random.default_rng(seed)
        self.rate, self.cap, self.weight_b = rate, 8, 0.05
        self.feature_shift, self.accuracy = 0.0, 0.87
        self.usual_cap = 8
        self.second = 0
        self.servers = [
            Server(name, pool, version, np.random.default_rng(seed + place + 1),
                   START / SECOND - 5.0 + place)
            for place, (name, pool, version) in enumerate(
                [("a-0", "a", "v2"), ("a-1", "a", "v2"), ("a-2", "a", "v2"), ("b-0", "b", "v1")]
            )
        ]  # fmt: skip
        self.releases = [
            Release(pool="b", version="v1", since=TimeNs(START - 900 * SECOND)),
            Release(pool="a", version="v1", since=TimeNs(START - 900 * SECOND)),
            Release(pool="a", version="v2", since=TimeNs(START - 600 * SECOND)),
        ]
        self.gateway = {name: Counts() for name in (names.GATEWAY, "pool:a", "pool:b")}
        for page in self.gateway.values():
            for signal in (raw.REQUESTS_ARRIVED, raw.REQUESTS_OK, raw.REQUESTS_5XX,
                           raw.REQUESTS_REFUSED):  # fmt: skip
                page.add(signal, 0.0)
            page.observe(raw.LATENCY, LATENCY_BOUNDS, ())
        self.late: list[tuple[float, str, bool]] = []
        # Users who got no answer ask again, once, a second later.
        self.failed = self.asked_again = 0
        self.outage: dict[str, str] = {}
        self._frozen: dict[str, SourceReport] = {}

    @property
    def now(self) -> TimeNs:
        return TimeNs(START + self.second * SECOND)

    def server(self, name: str) -> Server:
        return next(server for server in self.servers if server.name == name)

    def release(self, version: str, *, pool: str = "a", **faults: object) -> None:
        """Load a version on every replica of a pool, as CI/CD would."""
        self.releases.append(Release(pool=pool, version=version, since=self.now))
        for server in self.servers:
            if server.pool == pool:
                server.version = version
                for name, value in faults.items():
                    setattr(server, name, value)

    def tick(self) -> tuple[tuple[SourceReport, ...], tuple[Snapshot, ...]]:
        """Play one second of traffic, then read every page."""
        self.second += 1
        begin = self.second - 1.0
        self.asked_again, self.failed = max(self.failed - self.asked_again, 0), 0
        count = self.rng.poisson(self.rate) + self.asked_again
        arrivals = np.sort(begin + self.rng.random(count))
        pool_a = [server for server in self.servers if server.pool == "a"]
        pool_b = [server for server in self.servers if server.pool == "b"]
        for at in arrivals.tolist():
            chosen = pool_b if pool_b and self.rng.random() < self.weight_b else pool_a
            self._send(chosen[int(self.rng.integers(len(chosen)))], at)
        for server in self.servers:
            self._serve(server, begin + 1.0)
        self._time_out(begin + 1.0)
        return self._reports(), (self._snapshot(),)

    def _count(self, pool: str, signal: str) -> None:
        self.gateway[names.GATEWAY].add(signal)
        self.gateway[names.pool(pool)].add(signal)

    def _answered(self, pool: str, latency_s: float, *, ok: bool) -> None:
        self._count(pool, raw.REQUESTS_OK if ok else raw.REQUESTS_5XX)
        self.failed += not ok
        for subject in (names.GATEWAY, names.pool(pool)):
            self.gateway[subject].observe(raw.LATENCY, LATENCY_BOUNDS, (1000.0 * latency_s,))

    def _send(self, server: Server, at: float) -> None:
        self._count(server.pool, raw.REQUESTS_ARRIVED)
        if server.gone:
            self._answered(server.pool, 0.001, ok=False)
        elif server.hung:
            self.late.append((at, server.pool, False))
        elif len(server.queue) >= 64:
            server.page.add(raw.REQUESTS_ARRIVED)
            server.page.add(raw.REQUESTS_5XX)
            server.page.add(raw.REQUESTS_REFUSED)
            self._count(server.pool, raw.REQUESTS_REFUSED)
            self._answered(server.pool, 0.001, ok=False)
        else:
            server.page.add(raw.REQUESTS_ARRIVED)
            server.queue.append(at)

    def _serve(self, server: Server, until: float) -> None:
        if server.hung or server.gone:
            return
        server.page.add(raw.CPU_SECONDS, 0.2 + 0.01 * server.rng.random())
        server.memory += server.leak
        while server.queue:
            begin = max(server.free_at, server.queue[0] + 0.005)
            if begin >= until:
                break
            batch = [at for at in server.queue if at <= begin][: self.cap]
            del server.queue[: len(batch)]
            took = (0.030 + 0.0035 * len(batch)) * server.slowdown
            took *= 1.0 + 0.03 * server.rng.standard_normal()
            server.free_at = begin + took
            server.page.add(raw.BATCHES)
            server.page.add(raw.BATCH_SIZE_SUM, float(len(batch)))
            server.page.add(raw.FULL_BATCHES, float(len(batch) >= self.cap))
            server.page.add(raw.DEVICE_SECONDS, took)
            for at in batch:
                self._predict(server, server.free_at - at)

    def _predict(self, server: Server, latency_s: float) -> None:
        failed = server.rng.random() < server.failure_ratio
        server.page.add(raw.REQUESTS_5XX if failed else raw.REQUESTS_OK)
        server.page.observe(raw.LATENCY, LATENCY_BOUNDS, (1000.0 * latency_s,))
        late = latency_s > TIMEOUT_S
        self._answered(server.pool, min(latency_s, TIMEOUT_S), ok=not failed and not late)
        x = server.rng.standard_normal(3) + self.feature_shift
        for feature, value in zip(FEATURES, x, strict=True):
            server.page.observe(raw.feature(feature), FEATURE_BOUNDS, (float(value),))
        if failed:
            return
        if server.output == "nan":
            server.page.add(raw.PREDICTIONS_INVALID)
            return
        probability = 0.5 if server.output == "constant" else 1.0 / (1.0 + np.exp(-x.sum()))
        server.page.observe(raw.PREDICTION, UNIT_BOUNDS, (float(probability),))

    def _time_out(self, now: float) -> None:
        due = [entry for entry in self.late if now - entry[0] >= TIMEOUT_S]
        self.late = [entry for entry in self.late if now - entry[0] < TIMEOUT_S]
        for _, pool, _ in due:
            self._answered(pool, TIMEOUT_S, ok=False)

    def _snapshot(self) -> Snapshot:
        return Snapshot(
            deployment="credit",
            observed_at=self.now,
            replicas=tuple(
                Replica(
                    name=server.name,
                    pool=server.pool,
                    version=server.version,
                    state=server.state,
                    incarnation=server.incarnation,
                    memory_bytes=int(server.memory + 1e6 * self.rng.random()),
                    memory_limit_bytes=512_000_000,
                )
                for server in self.servers
            ),
            releases=tuple(self.releases),
            levers=(("batch_max", self.cap), ("replicas.a", 3), ("replicas.b", 1)),
            stamps=(),
        )

    def _reports(self) -> tuple[SourceReport, ...]:
        out = []
        for server in self.servers:
            subject = names.replica(server.name)
            dead = server.hung or server.gone
            gauges = {raw.QUEUE: float(len(server.queue)), raw.BATCH_MAX: float(self.cap)}
            report = page_report(
                f"scrape-{server.name}", (subject,), self.now,
                {subject: server.page}, {subject: gauges}, server.started,
            )  # fmt: skip
            out.append(self._page(report, dead=dead))
            out.append(self._probe(server, dead=dead))
        uptime = {names.GATEWAY: {raw.GATEWAY_UPTIME: 100.0 + self.second}}
        out.append(
            self._page(
                page_report("envoy", tuple(self.gateway), self.now, self.gateway, uptime,
                            START / SECOND - 100.0),
                dead=False,
            )
        )  # fmt: skip
        out.append(self._labels())
        return tuple(out)

    def _page(self, report: SourceReport, *, dead: bool) -> SourceReport:
        how = self.outage.get(report.source, "")
        if dead or how == "503":
            return silent(report, Quality.UNREACHABLE)
        if how == "html":
            return silent(report, Quality.ABSURD)
        if how == "zero":
            return rewritten(report, 0.0)
        if how == "nan":
            return rewritten(report, float("nan"))
        if how == "frozen":
            held = self._frozen.setdefault(report.source, report)
            return restamped(held, self.now)
        self._frozen.pop(report.source, None)
        return report

    def _probe(self, server: Server, *, dead: bool) -> SourceReport:
        subject = names.replica(server.name)
        if dead:
            found = {names.PROBE_HEALTH: 0.0, names.PROBE_INFERENCE: 0.0}
        else:
            server.probes += 1.0
            server.page.add(raw.BATCHES, 0.0)
            wait = max(server.free_at - self.second, 0.0) * 1000.0
            batch_ms = (30.0 + 3.5 * self.cap) * server.slowdown
            wait += len(server.queue) / self.cap * batch_ms
            took = (33.5 * server.slowdown) * (1.0 + 0.1 * server.rng.random()) + 5.0 + wait
            full = len(server.queue) >= 64
            broken = server.output == "nan" or server.rng.random() < server.failure_ratio
            found = {
                names.PROBE_HEALTH: 1.0,
                names.PROBE_INFERENCE: float(took < 1000.0 and not full and not broken),
                names.PROBE_LATENCY: took,
            }
        seen = [observation(f"probe-{server.name}", subject, signal, value, self.now)
                for signal, value in found.items()]  # fmt: skip
        seen.append(
            observation(f"probe-{server.name}", subject, raw.PROBES_ANSWERED, server.probes,
                        self.now, Kind.COUNTER, epoch=START / SECOND)
        )  # fmt: skip
        return SourceReport(
            source=f"probe-{server.name}", at=self.now, observations=tuple(seen),
            subjects=(subject,), quality=Quality.GOOD,
        )  # fmt: skip

    def _labels(self) -> SourceReport:
        noise = 0.01 * self.rng.standard_normal()
        seen = (
            observation("labels", names.MODEL, names.ACCURACY, self.accuracy + noise, self.now),
            observation("labels", names.MODEL, names.LABEL_COVERAGE, 0.9, self.now),
        )
        return SourceReport(
            source="labels", at=self.now, observations=seen, subjects=(names.MODEL,),
            quality=Quality.GOOD,
        )  # fmt: skip


def observation(
    source: str,
    subject: str,
    signal: str,
    value: float,
    at: TimeNs,
    kind: Kind = Kind.GAUGE,
    *,
    le: float | None = None,
    epoch: float | None = None,
) -> Observation:
    """Return one observation of the deployment."""
    key = SeriesKey(deployment="credit", subject=subject, signal=signal)
    return Observation(
        source=source, key=key, kind=kind, value=value, observed_at=at, le=le, epoch=epoch
    )


def page_report(
    source: str,
    subjects: tuple[str, ...],
    at: TimeNs,
    pages: dict[str, Counts],
    gauges: dict[str, dict[str, float]],
    epoch: float | None,
) -> SourceReport:
    """Return a metrics page as a report."""
    seen = []
    for subject, page in pages.items():
        for signal, value in page.plain.items():
            seen.append(observation(source, subject, signal, value, at, Kind.COUNTER, epoch=epoch))
        for signal, (bounds, counts) in page.buckets.items():
            seen += [
                observation(source, subject, signal, float(count), at, Kind.BUCKET, le=le,
                            epoch=epoch)
                for le, count in zip(bounds, accumulate(counts), strict=True)
            ]  # fmt: skip
    for subject, values in gauges.items():
        seen += [
            observation(source, subject, signal, value, at) for signal, value in values.items()
        ]
    return SourceReport(
        source=source, at=at, observations=tuple(seen), subjects=subjects, quality=Quality.GOOD
    )


def silent(report: SourceReport, quality: Quality) -> SourceReport:
    """Return the report of a round that read nothing."""
    return SourceReport(
        source=report.source, at=report.at, observations=(), subjects=report.subjects,
        quality=quality,
    )  # fmt: skip


def rewritten(report: SourceReport, value: float) -> SourceReport:
    """Return the same page with every value replaced; it names no start time any more."""
    return _mapped(report, report.at, value)


def restamped(report: SourceReport, at: TimeNs) -> SourceReport:
    """Return the same page as read at another time."""
    return _mapped(report, at, None)


def _mapped(report: SourceReport, at: TimeNs, value: float | None) -> SourceReport:
    seen = tuple(
        Observation(
            source=one.source, key=one.key, kind=one.kind,
            value=one.value if value is None else value, observed_at=at, le=one.le,
            epoch=one.epoch if value is None else None,
        )
        for one in report.observations
    )  # fmt: skip
    return SourceReport(
        source=report.source, at=at, observations=seen, subjects=report.subjects,
        quality=report.quality,
    )  # fmt: skip
