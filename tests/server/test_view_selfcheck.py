"""The canary's self-check as a Prometheus sees it: what was not measured has no sample."""

import pytest

from homeostat.base.canary import AlikeState, CanaryConfig
from homeostat.base.events import FleetView, Started, Ticked
from homeostat.base.policy import CanaryPolicy, KillLevel
from homeostat.server.api.metrics_canary import families
from homeostat.server.view import View
from homeostat.testing import build

ALIKE = AlikeState(canary="c", stable="a", config=CanaryConfig())


def samples(alike: AlikeState | None, *, canary: bool = True) -> dict[str, float]:
    managed = build.managed(canary=CanaryPolicy(pool="c") if canary else None)
    view = View()
    view.alike_of = lambda _: alike
    view.observe("m", Started(at=build.START, epoch=1, managed=managed))
    seen = build.evidence()
    view.observe("m", Ticked(at=seen.at, evidence=seen, fleet=FleetView(), kill=KillLevel.OFF))
    return {
        sample.name.removeprefix("homeostat_canary_selfcheck_"): sample.value
        for family in families(view.deployments())
        for sample in family.samples
    }


@pytest.mark.parametrize(("alike", "canary"), [(None, True), (ALIKE, False)])
def test_before_anything_was_measured_there_is_no_sample(
    alike: AlikeState | None,
    canary: bool,  # noqa: FBT001 - declared
) -> None:
    assert samples(alike, canary=canary) == {}


def test_false_alarms_are_counted_and_a_failed_check_is_said() -> None:
    broken = AlikeState(canary="c", stable="a", config=CanaryConfig(), ends=(True, True, False))
    assert samples(broken) == {
        "ramps": 3.0, "false_alarms": 2.0, "promised_rate": 0.05, "failed": 1.0,
    }  # fmt: skip


def test_the_margin_is_there_once_it_was_learnt() -> None:
    learnt = AlikeState(
        canary="c", stable="a", config=CanaryConfig(), ratios=(1.1,) * 30, ends=(False,) * 30
    )
    assert samples(learnt)["pools_ratio"] == 1.1
    assert samples(learnt)["failed"] == 0.0
    assert samples(learnt)["promised_rate"] == pytest.approx(0.1)
