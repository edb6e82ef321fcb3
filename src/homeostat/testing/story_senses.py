"""The story's measurements: what a deployment's signals look like on each of its ticks."""

from collections.abc import Iterator
from random import Random
from typing import Final

from homeostat.base import names
from homeostat.base.types import (
    Anomaly,
    Evidence,
    Family,
    Forecast,
    Objective,
    Quality,
    Reading,
    Release,
    Replica,
    ReplicaState,
    Snapshot,
    Suspicion,
    TimeNs,
    Verdict,
)
from homeostat.base.units import HOUR, MINUTE, SECOND
from homeostat.detect.health_of import health_of

WARM_AT: Final = 20
SLOW_AT: Final = 150
GAP_AT: Final = 215
GAP_TICKS: Final = 9
RUSH_AT: Final = 260
P95_LIMIT_MS: Final = 250.0

SLOTS: Final = ("a-1", "a-2", "a-3", "b-1")
GIB: Final = 1 << 30


class Senses:
    """Measures a made-up deployment.

    Args:
        name: The deployment's name.
        start: The time of the first tick.
        seed: Of the noise.
    """

    def __init__(self, name: str, start: TimeNs, seed: int) -> None:
        self._name, self._start = name, start
        self._chance = Random(seed)  # noqa: S311 - noise, no secret
        self.restarted = False
        self.restarting = False

    def evidence(self, tick: int, at: TimeNs) -> Evidence:
        """Return one tick's evidence."""
        slow, rush, gap = self._slow(tick), self._rush(tick), GAP_AT <= tick < GAP_AT + GAP_TICKS
        readings = tuple(
            self._reading(subject, signal, value, base, width, tick=tick, gap=gap)
            for subject, signal, value, base, width in self._signals(tick, slow, rush)
        )
        bad = [r for r in readings if r.verdict is Verdict.ANOMALOUS]
        anomalies = tuple(_anomaly(r) for r in bad)
        forecasts, suspected = self._ahead(tick, rush), suspicions(slow, rush)
        p95 = next(r.value for r in readings if r.signal == names.LATENCY_P95)
        return Evidence(
            deployment=self._name,
            at=at,
            tick=tick,
            readings=tuple(sorted(readings, key=lambda r: (r.subject, r.signal))),
            anomalies=anomalies,
            forecasts=forecasts,
            suspicions=suspected,
            slo_met=None if p95 is None else p95 <= P95_LIMIT_MS,
            ready=tick >= WARM_AT,
            world=self._world(tick, at),
            health=health_of(
                readings={(r.subject, r.signal): r for r in readings},
                forecasts=forecasts,
                anomalies=anomalies,
                suspicions=suspected,
                objective=Objective(latency_p95_ms=P95_LIMIT_MS, error_ratio=0.01, accuracy=0.8),
            ),
        )

    @staticmethod
    def _ahead(tick: int, rush: float) -> tuple[Forecast, ...]:
        """Return what demand is about to do: nothing is known before baselines are."""
        known = tick >= WARM_AT
        late = min(0.01 + 0.25 * (rush - 1.0), 0.97)
        series = (
            ("pool:a", names.ARRIVAL_RATE, 240.0, late),
            (names.GATEWAY, names.LATENCY_P95, P95_LIMIT_MS, late),
            (names.GATEWAY, names.ERROR_RATIO, 0.01, 0.01),
            (names.MODEL, names.ACCURACY, 0.8, 0.01),
        )
        return tuple(
            Forecast(
                subject=subject,
                signal=signal,
                limit=limit,
                time_to_limit_ns=None,
                horizons_ns=(5 * MINUTE, 15 * MINUTE, 60 * MINUTE),
                chances=(chance, chance, chance) if known else (None, None, None),
            )
            for subject, signal, limit, chance in series
        )

    def _slow(self, tick: int) -> float:
        """Return how much slower a-2 is, 1 for not at all."""
        return 1.0 if tick < SLOW_AT or self.restarted else min(8.0, 1.0 + 2.4 * (tick - SLOW_AT))

    @staticmethod
    def _rush(tick: int) -> float:
        """Return how many times more requests arrive."""
        return 1.0 if tick < RUSH_AT else min(2.6, 1.0 + 0.16 * (tick - RUSH_AT))

    def _signals(
        self, tick: int, slow: float, rush: float
    ) -> Iterator[tuple[str, str, float, float, float]]:
        """Yield (subject, signal, value, expected, half width of the band)."""
        gateway, model = names.GATEWAY, names.MODEL
        p95 = 61.0 + 52.0 * (slow - 1.0) + 92.0 * max(0.0, rush - 1.35)
        yield gateway, names.ARRIVAL_RATE, 100.0 * rush, 100.0, 12.0
        yield gateway, names.LATENCY_P95, p95, 61.0, 9.0
        yield gateway, names.LATENCY_P50, 38.0 + 4.0 * (rush - 1), 38.0, 5.0
        yield gateway, names.ERROR_RATIO, 0.0012 + 0.0011 * (slow - 1) / 7, 0.0012, 0.003
        yield model, names.PREDICTION_SHIFT, 0.031, 0.03, 0.025
        yield model, names.FEATURE_SHIFT, 0.042, 0.04, 0.03
        yield model, names.ACCURACY, 0.846, 0.845, 0.03
        for index, slot in enumerate(SLOTS):
            subject, mine = names.replica(slot), slow if slot == "a-2" else 1.0
            load = (0.05 if slot == "b-1" else 0.32) * rush
            memory = 0.31 + 0.015 * index + 0.00002 * tick
            yield subject, names.DEVICE_TIME, (37.0 + 6 * load) * mine, 39.0, 5.0
            yield subject, names.PROBE_LATENCY, (42.0 + 8 * load) * mine, 45.0, 7.0
            yield subject, names.QUEUE_LENGTH, 1.2 * load * mine**2 + 9 * (rush - 1) ** 2, 0.4, 2.6
            yield subject, names.MEMORY_SHARE, memory, memory, 0.015
            yield subject, names.PROCESS_UP, 1.0, 1.0, 0.0

    def _reading(
        self,
        subject: str,
        signal: str,
        value: float,
        base: float,
        width: float,
        *,
        tick: int,
        gap: bool,
    ) -> Reading:
        steady = signal == names.PROCESS_UP
        noisy = value if steady else max(0.0, value + self._chance.gauss(0.0, width / 5.0))
        known = tick >= WARM_AT
        outside = known and abs(noisy - base) > width and not steady
        verdict = Verdict.ANOMALOUS if outside else Verdict.HEALTHY
        if gap or not known:
            verdict = Verdict.UNKNOWN
        return Reading(
            subject=subject,
            signal=signal,
            value=None if gap else noisy,
            verdict=verdict,
            quality=Quality.UNREACHABLE if gap else Quality.GOOD,
            low=max(0.0, base - width) if known else None,
            high=base + width if known else None,
            age_ns=(SECOND if gap else 0) + 200_000_000,
            samples=0.0 if gap else 100.0,
        )

    def _world(self, tick: int, at: TimeNs) -> Snapshot:
        replicas = tuple(
            Replica(
                name=slot,
                pool=slot[0],
                version="v1" if slot == "b-1" else "v2",
                state=ReplicaState.DRAINING
                if self.restarting and slot == "a-2"
                else ReplicaState.READY,
                incarnation=2 if self.restarted and slot == "a-2" else 1,
                started_at=TimeNs(self._start - HOUR),
                memory_bytes=round((0.31 + 0.015 * index + 0.00002 * tick) * GIB),
                memory_limit_bytes=GIB,
            )
            for index, slot in enumerate(SLOTS)
        )
        incarnation = 2 if self.restarted else 1
        return Snapshot(
            deployment=self._name,
            observed_at=at,
            replicas=replicas,
            releases=(
                Release(pool="a", version="v1", since=TimeNs(self._start - 30 * HOUR)),
                Release(pool="a", version="v2", since=TimeNs(self._start - 4 * HOUR)),
                Release(pool="b", version="v1", since=TimeNs(self._start - 30 * HOUR)),
            ),
            levers=(
                ("batch_max", 8),
                ("incarnation.a-2", incarnation),
                ("replicas.a", 3),
                ("version.a", "v2"),
                ("weight.b", 5.0),
            ),
            stamps=(),
            spares=1,
            changing=self.restarting,
        )


def _anomaly(reading: Reading) -> Anomaly:
    return Anomaly(
        detector="ewma",
        subject=reading.subject,
        signal=reading.signal,
        verdict=reading.verdict,
        neg_log10_p=9.0,
    )


def suspicions(slow: float, rush: float) -> tuple[Suspicion, ...]:
    """Return what is suspected when a-2 is `slow` times slower and `rush` times more arrive."""
    if slow > 2.0:  # noqa: PLR2004 - clearly slow
        why = (f"probe latency {45 * slow:.0f} ms, peers 45 ms", "device time 39 -> 312 ms")
        return (
            Suspicion(family=Family.REPLICA, subject="replica:a-2", confidence=0.93, because=why),
        )
    if rush > 1.3:  # noqa: PLR2004 - clearly more
        why = (f"arrivals {100 * rush:.0f}/s, expected 88 to 112", "device time flat")
        return (Suspicion(family=Family.LOAD, subject="pool:a", confidence=0.88, because=why),)
    return ()
