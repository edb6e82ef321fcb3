"""A deployment of which most is gone is unknown, and a rollout is no blindness."""

from dataclasses import replace
from typing import Any

import numpy as np
from fused_play import SIGNALS, Play
from typing_extensions import override

from homeostat.base import names
from homeostat.base.evidence import Evidence, Quality, SeriesKey, Signals, Verdict
from homeostat.base.types import TimeNs
from homeostat.base.world import Replica, ReplicaState, Snapshot
from homeostat.detect.fused_blind import blind
from homeostat.detect.layout import layout

GATEWAY = (names.ARRIVAL_RATE, names.ERROR_RATIO, names.LATENCY_P50, names.LATENCY_P95)
READY, STARTING = ReplicaState.READY, ReplicaState.STARTING
DRAINING = ReplicaState.DRAINING


def world(**states: ReplicaState) -> Snapshot:
    slots = [
        Replica(name=name.replace("_", "-"), pool="a", version="1", state=state, incarnation=1)
        for name, state in states.items()
    ]
    return Snapshot(
        deployment="one", observed_at=TimeNs(0), replicas=tuple(slots), releases=(), levers=(),
        stamps=(),
    )  # fmt: skip


def is_blind(
    snapshot: Snapshot | None, *, dark: Any = (), how: Quality = Quality.MISSING, slots: int = 4
) -> bool:
    """Return what is said of a gateway and replicas, some subjects of which are not known."""
    subjects = [(names.GATEWAY, one) for one in GATEWAY]
    subjects += [(f"replica:a-{slot}", one) for slot in range(slots) for one in SIGNALS]
    keys = tuple(
        SeriesKey(deployment="one", subject=subject, signal=signal)
        for subject, signal in sorted(subjects)
    )
    gone = [key.subject in dark for key in keys]
    signals = Signals(
        at=TimeNs(0), tick=0, keys=keys, values=np.where(gone, np.nan, 1.0),
        age_ns=np.zeros(len(keys), dtype=np.int64), samples=np.ones(len(keys)),
        quality=tuple(how if one else Quality.GOOD for one in gone), world=(),
    )  # fmt: skip
    evidence = Evidence(
        deployment="one", at=TimeNs(0), tick=0, readings=(), anomalies=(), forecasts=(),
        suspicions=(), slo_met=True, ready=True, world=snapshot,
    )  # fmt: skip
    return blind(signals, layout(keys), evidence)


ALL = world(a_0=READY, a_1=READY, a_2=READY, a_3=READY)
REPLICAS = [f"replica:a-{slot}" for slot in range(4)]


def test_a_gateway_alone_is_too_little_to_call_four_replicas_healthy() -> None:
    assert not is_blind(ALL)
    assert is_blind(ALL, dark=REPLICAS)
    assert is_blind(ALL, dark=REPLICAS[:3])  # 8 of 20
    assert not is_blind(ALL, dark=REPLICAS[:2])  # 12 of 20
    for how in (Quality.STALE, Quality.UNREACHABLE, Quality.ABSURD):
        assert is_blind(ALL, dark=REPLICAS, how=how)


def test_a_quiet_night_is_no_blindness() -> None:
    assert not is_blind(ALL, dark=[names.GATEWAY, *REPLICAS], how=Quality.FEW)


def test_replicas_that_start_drain_or_are_gone_owe_nothing() -> None:
    rolling = world(a_0=READY, a_1=STARTING, a_2=DRAINING)  # and the slot of a-3 is no more
    assert not is_blind(rolling, dark=REPLICAS[1:])
    assert is_blind(replace(rolling, replicas=ALL.replicas), dark=REPLICAS[1:])
    # A source that still serves the samples of those does not stand in for the one that serves.
    assert not is_blind(rolling, dark=REPLICAS[:1])  # the gateway is half
    assert is_blind(rolling, dark=[names.GATEWAY, REPLICAS[0]])


def test_where_the_world_could_not_be_read_all_series_are_owed() -> None:
    assert is_blind(None, dark=REPLICAS)
    assert not is_blind(None, dark=REPLICAS[:2])
    assert is_blind(None, slots=0, dark=[names.GATEWAY])


class Dark(Play):
    """A fleet whose silence is told by its quality, as live signals tell it."""

    lost: frozenset[str] = frozenset()

    @override
    def signals(self, keys: tuple[SeriesKey, ...], values: list[float]) -> Signals[object]:
        gone = [key.subject in self.lost for key in keys]
        some = [np.nan if one else value for one, value in zip(gone, values, strict=True)]
        quality = tuple(Quality.MISSING if one else Quality.GOOD for one in gone)
        return replace(super().signals(keys, some), quality=quality)


def test_a_healthy_rest_is_unknown_and_an_onset_that_shows_in_it_is_told() -> None:
    play = Dark("one", replicas=4)
    said = play.play(60)[-1]["one"].score
    assert said is not None
    assert said.verdict is Verdict.HEALTHY
    play.lost = frozenset(REPLICAS[:3])
    dark = [one["one"].score for one in play.play(20)]
    assert {one.verdict for one in dark if one} == {Verdict.UNKNOWN}
    assert {one.neg_log10_p for one in dark if one} == {None}
    play.alarms = {"one": 60.0}
    told = [one["one"].score for one in play.play(8)][-1]
    assert told is not None
    assert told.verdict is Verdict.ANOMALOUS
    assert told.since is not None
