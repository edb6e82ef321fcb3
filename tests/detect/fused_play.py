"""A fleet of made-up deployments for the fused score, one tick after the other."""

from dataclasses import replace

import numpy as np

from homeostat.base import names
from homeostat.base.evidence import (
    Anomaly,
    Evidence,
    Family,
    Quality,
    SeriesKey,
    Signals,
    Suspicion,
    Verdict,
)
from homeostat.base.types import TimeNs
from homeostat.detect import stack_incident
from homeostat.detect.fused import Config, Fused
from homeostat.detect.layout import layout

SIGNALS = (names.DEVICE_TIME, names.BATCH_SIZE, names.CPU_SHARE, names.QUEUE_LENGTH)
# A past of 220 ticks says 1.8 of what could not be stranger, one of 900 says 3.4: these lines are
# for a young one, so that tests need not wait.
SOON = Config(incident=stack_incident.Config(start=1.7, stay=1.2, quiet=30))


class Play:
    """A fleet of made-up deployments, one tick after the other."""

    def __init__(self, *deployments: str, replicas: int = 2, seed: int = 1) -> None:
        self.chance = np.random.default_rng(seed)
        self.part, self.state = Fused(SOON), Fused(SOON).init()
        self.replicas = dict.fromkeys(deployments, replicas)
        self.tick, self.layout = 0, layout(())
        self.off: dict[tuple[str, str, str], float] = {}
        self.silent: set[str] = set()
        self.alarms: dict[str, float] = {}
        self.suspected: set[str] = set()
        self.busy: frozenset[str] = frozenset()

    def keys(self) -> tuple[SeriesKey, ...]:
        return tuple(
            SeriesKey(deployment=name, subject=f"replica:a-{slot}", signal=signal)
            for name, slots in self.replicas.items()
            for slot in range(slots)
            for signal in SIGNALS
        )

    def one(self) -> dict[str, Evidence]:
        self.tick += 1
        keys = self.keys()
        self.layout = layout(keys, self.layout) if keys != self.layout.keys else self.layout
        noise = self.chance.normal(10.0, 1.0, len(keys))
        values = [
            np.nan
            if key.deployment in self.silent
            else value + self.off.get((key.deployment, key.subject, key.signal), 0.0)
            for key, value in zip(keys, noise.tolist(), strict=True)
        ]
        told = tuple(self.said(name) for name in self.replicas)
        learn = frozenset(self.replicas) - self.suspected - self.busy
        self.state, out = self.part.step(
            self.state, self.signals(keys, values), self.layout, told, learn, self.busy
        )
        return {one.deployment: one for one in out}

    def play(self, ticks: int) -> list[dict[str, Evidence]]:
        return [self.one() for _ in range(ticks)]

    def said(self, name: str) -> Evidence:
        subject, signal = "replica:a-0", names.DEVICE_TIME
        claim = Anomaly(
            detector="ewma", subject=subject, signal=signal, verdict=Verdict.ANOMALOUS,
            neg_log10_p=self.alarms.get(name),
        )  # fmt: skip
        unknown = tuple(
            replace(claim, signal=one, subject=f"replica:a-{slot}", verdict=Verdict.UNKNOWN)
            for slot in range(self.replicas[name])
            for one in SIGNALS
            if name in self.silent
        )
        why = Suspicion(family=Family.LOAD, subject="gateway", confidence=0.75, because=())
        return Evidence(
            deployment=name, at=TimeNs(self.tick), tick=self.tick, readings=(),
            anomalies=unknown or ((claim,) if name in self.alarms else ()), forecasts=(),
            suspicions=(why,) if name in self.suspected else (), slo_met=True, ready=True,
            world=None,
        )  # fmt: skip

    def signals(self, keys: tuple[SeriesKey, ...], values: list[float]) -> Signals[object]:
        return Signals(
            at=TimeNs(self.tick), tick=self.tick, keys=keys, values=np.array(values),
            age_ns=np.zeros(len(keys), dtype=np.int64), samples=np.ones(len(keys)),
            quality=(Quality.GOOD,) * len(keys), world=(),
        )  # fmt: skip
