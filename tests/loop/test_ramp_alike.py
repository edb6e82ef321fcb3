"""What two pools of the same version say of their comparison decides who may promote a canary."""

from dataclasses import replace

import pytest
from ramp_world import Ramp, managed

from homeostat.base import codec
from homeostat.base.canary import AlikeState, CanaryConfig
from homeostat.base.events import Approval
from homeostat.base.intent import ActionState, Proof
from homeostat.base.policy import KillLevel, OnUnproven
from homeostat.base.units import SECOND
from homeostat.testing import build

BROKEN = AlikeState(canary="c", stable="a", config=CanaryConfig(), ends=(True, True, True))


def refused(how: OnUnproven) -> Ramp:
    """Return a ramp of a good version in a deployment whose self-check failed."""
    ramp = Ramp(managed(on_unproven=how))
    ramp.state = replace(ramp.state, alike=BROKEN)
    ramp.begin()
    return ramp


@pytest.mark.parametrize("how", [OnUnproven.ASK, OnUnproven.KEEP])
@pytest.mark.parametrize("yes", [True, False])
def test_where_the_self_check_failed_a_certificate_needs_a_person(
    how: OnUnproven,
    yes: bool,  # noqa: FBT001 - the answer
) -> None:
    ramp = refused(how)
    ramp.run(300, lambda: ramp.state.record is not None and ramp.state.record.proof is Proof.ASKED)
    assert ramp.state.record is not None
    assert "self-check failed" in ramp.state.record.reason
    ramp.run(5)
    assert ramp.weight == 50.0
    assert sum("promoted unproven?" in title for title in ramp.told()) == 1
    ramp.feed(
        Approval(
            at=build.at(ramp.now), decision_id="d-0001", approved=yes, by="bob", why="",
            kill=KillLevel.OFF,
        )
    )  # fmt: skip
    done = ramp.finish()
    assert done.state is (ActionState.SUCCEEDED_UNPROVEN if yes else ActionState.ROLLED_BACK)
    assert done.proof is not Proof.CERTIFIED


def test_where_nobody_is_to_be_asked_it_goes_back_and_says_why() -> None:
    done = refused(OnUnproven.RETURN).finish()
    assert (done.state, done.blameless) == (ActionState.ROLLED_BACK, True)
    assert "self-check failed" in done.reason


def test_harm_is_found_all_the_same() -> None:
    ramp = refused(OnUnproven.ASK)
    ramp.errors["c"] = 0.12
    done = ramp.finish()
    assert (done.state, done.blameless) == (ActionState.ROLLED_BACK, False)
    assert "3 false alarms in 3 ramps, promised are 5%" in done.reason, "what it is worth here"


def test_the_loop_compares_pools_of_one_version_by_itself_and_keeps_it_with_its_state() -> None:
    ramp = Ramp(managed(max_wait_ns=30 * SECOND))
    levers = dict(ramp.world.levers) | {"version.c": "v2", "weight.c": 50.0}
    ramp.world = replace(
        ramp.world,
        levers=tuple(sorted(levers.items())),
        replicas=tuple(
            replace(one, version="v2") if one.pool == "c" else one for one in ramp.world.replicas
        ),
    )
    ramp.run(100)
    known = ramp.state.alike
    assert known is not None
    assert known.ends == (False, False, False)
    assert len(known.ratios) >= 1
    assert codec.decode(codec.encode(ramp.state)) == ramp.state
    ramp.errors["c"] = 0.06
    ramp.run(100)
    assert ramp.state.alike is not None
    assert sum(ramp.state.alike.ends) >= 2
