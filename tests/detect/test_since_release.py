"""A fallback pool without traffic: the pool's own history may accuse, and only a person decides."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from patient_by_hand import STABLE, Patient

from homeostat.base import names
from homeostat.base.evidence import Family, Verdict
from homeostat.base.guard import NeedApproval
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Release
from homeostat.safety.guard import guard
from homeostat.testing import guard_scene as g
from homeostat.testing.guard_cases import verdict

AGO = 20 * SECOND
BLAMED = [(Family.RELEASE, "pool:a")]


def patient(*, errors: float = 0.3, ago: int = AGO) -> Patient:
    """Return a deployment whose fallback serves nobody, just after a release that errs."""
    ill = Patient().gateway(names.ERROR_RATIO, errors)
    ill.all(STABLE, names.ERROR_RATIO, errors)
    for signal in (names.ERROR_RATIO, names.DEVICE_TIME, names.BATCH_SIZE):
        ill.set("replica:b-0", signal, None)
    ill.set("pool:a", names.ARRIVAL_RATE, 100.0).set("pool:b", names.ARRIVAL_RATE, 0.0)
    assert ill.world is not None
    fresh = Release(pool="a", version="v2", since=TimeNs(ill.world.observed_at - ago))
    ill.world = replace(ill.world, releases=(ill.world.releases[0], fresh))
    return ill


def slow(times: float) -> Patient:
    ill = patient(errors=0.0)
    return ill.all(STABLE, names.DEVICE_TIME, times * 35.0).gateway(names.LATENCY_P95, 900.0)


def test_a_pool_that_errs_only_since_its_release_accuses_it_below_any_comparison() -> None:
    (found,) = patient().diagnosis()
    assert (found.family, found.subject) == BLAMED[0]
    side_by_side = Patient().all(STABLE, names.ERROR_RATIO, 0.3).diagnosis()[0]
    assert found.confidence < 0.7 < side_by_side.confidence
    assert "serves nobody" in " ".join(found.because)


def test_a_pool_that_is_slow_only_since_its_release_accuses_it() -> None:
    assert slow(2.3).families() == BLAMED
    assert slow(2.1).families() == [(Family.UNCLEAR, "model")]


SPOILS: dict[str, Callable[[Patient], object]] = {
    "more arrives": lambda ill: ill.gateway(names.ARRIVAL_RATE, 131.0),
    "less arrives": lambda ill: ill.gateway(names.ARRIVAL_RATE, 76.0),
    "what arrives is unknown": lambda ill: ill.gateway(names.ARRIVAL_RATE, None),
    "what used to arrive is unknown": lambda ill: ill.usual.pop((
        names.GATEWAY,
        names.ARRIVAL_RATE,
    )),
    "the mix is unknown": lambda ill: ill.set(names.MODEL, names.FEATURE_SHIFT, None),
    "one replica is unknown": lambda ill: ill.set("replica:a-1", names.ERROR_RATIO, None),
    "one replica errs less": lambda ill: ill.set("replica:a-1", names.ERROR_RATIO, 0.03),
    "the time before is unknown": lambda ill: ill.usual.pop(("replica:a-1", names.ERROR_RATIO)),
    "it erred before": lambda ill: ill.usual.update({("replica:a-1", names.ERROR_RATIO): 0.27}),
    "the fallback fails its probes": lambda ill: ill.set("replica:b-0", names.PROBE_FAILURES, 1.0),
    "nobody probes the fallback": lambda ill: ill.set("replica:b-0", names.PROBE_FAILURES, None),
    "the fallback is not idle": lambda ill: ill.set("pool:b", names.ARRIVAL_RATE, 0.5),
    "whether it is idle is unknown": lambda ill: ill.set("pool:b", names.ARRIVAL_RATE, None),
}


@pytest.mark.parametrize("spoil", SPOILS.values(), ids=SPOILS)
def test_anything_else_that_changed_or_is_unknown_acquits_the_release(
    spoil: Callable[[Patient], object],
) -> None:
    ill = patient()
    spoil(ill)
    assert Family.RELEASE not in [family for family, _ in ill.families()]


def test_a_moved_mix_acquits_the_release() -> None:
    ill = patient().set(names.MODEL, names.FEATURE_SHIFT, 0.4, Verdict.ANOMALOUS)
    assert Family.RELEASE not in [family for family, _ in ill.families()]


def test_only_a_fresh_release_is_accused_by_the_time_before_it() -> None:
    assert patient(ago=120 * SECOND).families() == BLAMED
    assert patient(ago=121 * SECOND).families() == [(Family.UNCLEAR, "model")]
    assert patient(ago=-1).families() == [(Family.UNCLEAR, "model")]  # not released yet


def test_the_rollback_that_it_asks_for_is_a_persons_to_decide() -> None:
    bad = g.bad_release(g.scene())
    service = (names.ERROR_RATIO, names.LATENCY_P95)
    idle = g.without(bad, [(names.pool("b"), signal) for signal in service])
    answer = guard(g.rollback(), idle, g.NOW)
    assert isinstance(answer, NeedApproval)
    assert verdict(answer) == ("ask", "G0 older version clean")
