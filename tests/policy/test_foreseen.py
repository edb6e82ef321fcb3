"""On a forecast capacity may be added, one replica at a time, and nothing else may be done."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.base import names
from homeostat.base.actions import ActionKind
from homeostat.base.events import FleetView
from homeostat.base.evidence import Family, Incident
from homeostat.base.guard import GuardState
from homeostat.base.policy import KillLevel, Mode
from homeostat.policy.runbook import candidates
from homeostat.testing import build


def incident(pool: str | None) -> Incident:
    """Return a load that a pool will feel; for no pool front ends that will run out."""
    family = Family.FRONTEND if pool is None else Family.LOAD
    return Incident(
        id="i-0001", deployment="m", family=family,
        subject=names.MODEL if pool is None else f"pool:{pool}",
        opened_at=build.START, confirmed_at=build.START, tries=0, escalated=False,
        because=("forecast",),
    )  # fmt: skip


def state(mode: Mode, granted: tuple[ActionKind, ...], replicas: int) -> GuardState:
    entry = build.managed(mode=mode)
    world = build.world()
    levers = tuple((k, replicas if k == "replicas.a" else v) for k, v in world.levers)
    return GuardState(
        managed=replace(entry, guard=replace(entry.guard, auto_kinds=granted)),
        evidence=build.evidence(), world=replace(world, levers=levers), fleet=FleetView(),
        kill=KillLevel.OFF, in_flight=None, past=(), tries=0, peak_replicas=3, observe_until=None,
        verified=(("a", "v2"), ("b", "v1")),
    )  # fmt: skip


@given(
    mode=st.sampled_from(list(Mode)),
    granted=st.frozensets(st.sampled_from(list(ActionKind))),
    replicas=st.integers(0, 40),
    pool=st.sampled_from(["a", "b", "canary", None]),
    tried=st.lists(st.tuples(st.sampled_from([k.value for k in ActionKind]), st.just("pool:a"))),
)
def test_a_forecast_adds_one_replica_or_does_nothing(
    mode: Mode,
    granted: frozenset[ActionKind],
    replicas: int,
    pool: str | None,
    tried: list[tuple[str, str]],
) -> None:
    kinds = tuple(sorted(granted))
    wanted, because = candidates(incident(pool), state(mode, kinds, replicas), tried)
    assert because == ("forecast",)
    assert len(wanted) <= 1
    for action in wanted:
        assert action.kind is ActionKind.SCALE_UP
        assert action.change == (("replicas.a", replicas + 1),)
        assert action.replicas_touched == 1
        assert mode is Mode.AUTO
        assert ActionKind.SCALE_UP in granted


def test_a_granted_replica_is_added() -> None:
    wanted, _ = candidates(incident("a"), state(Mode.AUTO, (ActionKind.SCALE_UP,), 2), ())
    assert [action.kind for action in wanted] == [ActionKind.SCALE_UP]


@pytest.mark.parametrize("mode", [Mode.SHADOW, Mode.APPROVE])
def test_nobody_is_asked_because_of_a_forecast(mode: Mode) -> None:
    assert candidates(incident("a"), state(mode, (ActionKind.SCALE_UP,), 2), ())[0] == ()


def test_without_room_for_a_replica_nobody_is_woken() -> None:
    full = state(Mode.AUTO, (ActionKind.SCALE_UP,), 10**6)
    assert candidates(incident("a"), full, ())[0] == ()
