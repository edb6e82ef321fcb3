"""A pool stands by where its replicas are seen to be ready, and nobody asks it anything yet."""

import pytest

from homeostat.base import names
from homeostat.base.actions import ActionKind
from homeostat.base.evidence import Family, Verdict
from homeostat.base.guard import GuardState
from homeostat.base.world import ReplicaState
from homeostat.safety.facts import facts
from homeostat.safety.sight import look
from homeostat.safety.standby import standby
from homeostat.testing import guard_scene as g

SHIFT = g.act(ActionKind.SHIFT_TRAFFIC, names.pool("b"), weight__b=10.0)
BLIND = [(names.pool("b"), names.ERROR_RATIO), (names.pool("b"), names.LATENCY_P95)]
IDLE = g.without(g.with_levers(g.scene(), weight__b=0.0), BLIND)


def stands_by(state: GuardState) -> bool | None:
    return standby("b", look(state, g.NOW))


def test_an_idle_pool_with_good_probes_stands_by() -> None:
    assert stands_by(IDLE) is True
    record = facts(SHIFT, look(IDLE, g.NOW))
    assert (record["growing_clean"], record["growing_seen"]) == (None, True)


def test_one_that_serves_well_needs_not_stand_by() -> None:
    record = facts(SHIFT, look(g.scene(), g.NOW))
    assert (record["growing_clean"], record["growing_seen"]) == (True, True)


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(g.without(g.scene(), BLIND), id="it has traffic"),
        pytest.param(g.without(IDLE, [("replica:b-1", names.PROBE_FAILURES)]), id="not probed"),
        pytest.param(
            g.told(IDLE, g.reading("replica:b-1", names.PROBE_FAILURES, 3.0)), id="probes fail"
        ),
        pytest.param(g.with_slot(IDLE, "b-1", ReplicaState.STARTING), id="it starts"),
        pytest.param(g.with_slot(IDLE, "b-1", ReplicaState.GONE), id="it is gone"),
        pytest.param(g.suspect(IDLE, Family.RELEASE, "pool:b"), id="it is suspected"),
        pytest.param(g.suspect(IDLE, Family.REPLICA, "replica:b-1"), id="its replica is"),
        pytest.param(
            g.told(IDLE, g.reading("replica:b-1", names.MEMORY_SHARE, 0.9, Verdict.ANOMALOUS)),
            id="a replica is unusual",
        ),
    ],
)
def test_nothing_else_stands_by(state: GuardState) -> None:
    assert stands_by(state) is False
    assert facts(SHIFT, look(state, g.NOW))["growing_seen"] is not True


def test_a_share_that_cannot_be_read_is_unknown() -> None:
    assert stands_by(g.with_levers(IDLE, weight__b=float("nan"))) is None
