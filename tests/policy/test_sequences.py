"""Which way the batch goes where tokens are served: smaller when sequences are put back."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from homeostat.base import names
from homeostat.base.actions import ActionKind
from homeostat.base.events import FleetView
from homeostat.base.evidence import Family, Incident
from homeostat.base.guard import GuardState, Setting
from homeostat.base.policy import KillLevel
from homeostat.policy.runbook import candidates
from homeostat.policy.sequences import put_back, would_fit
from homeostat.testing import build

SLOTS = ("a-1", "a-2", "a-3")


def incident(family: Family, subject: str) -> Incident:
    return Incident(
        id="i-0001", deployment="m", family=family, subject=subject, opened_at=build.START,
        confirmed_at=build.START, tries=0, escalated=False, because=("why",),
    )  # fmt: skip


def state(told: Mapping[str, float] | None = None, batch: int = 8) -> GuardState:
    """Return a deployment whose servers show these signals."""
    values = {
        (f"replica:{slot}", name): value for slot in SLOTS for name, value in (told or {}).items()
    }
    return GuardState(
        managed=build.managed(), evidence=build.evidence(values=values),
        world=build.world(levers={"batch_max": batch}), fleet=FleetView(), kill=KillLevel.OFF,
        in_flight=None, past=(), tries=0, peak_replicas=3, observe_until=None, verified=(),
    )  # fmt: skip


def wanted(family: Family, subject: str, seen: GuardState) -> list[tuple[ActionKind, object]]:
    found, _ = candidates(incident(family, subject), seen, ())
    return [(one.kind, dict(one.change).get(names.BATCH_MAX)) for one in found[:-1]]


def test_the_batch_gets_smaller_first_when_that_saves_more_work_than_it_costs() -> None:
    # A quarter less is the policy's step: it pays when more than a third is done again.
    little = state({names.PREEMPTION_RATIO: 0.33, names.KV_USAGE: 1.0})
    assert wanted(Family.BATCHING, "pool:a", little) == [(ActionKind.SCALE_UP, None)]
    seen = state({names.PREEMPTION_RATIO: 0.34, names.KV_USAGE: 1.0})
    assert wanted(Family.BATCHING, "pool:a", seen)[:2] == [
        (ActionKind.BATCH_DOWN, 6), (ActionKind.SCALE_UP, None),
    ]  # fmt: skip


@pytest.mark.parametrize(("before", "first"), [(4, 4), (16, 6)])
def test_where_work_is_put_back_only_a_smaller_batch_that_served_is_gone_back_to(
    before: int, first: int
) -> None:
    def seen_with(value: int, *, served: bool) -> Setting:
        return Setting(
            lever=names.BATCH_MAX, value=value, version="v2", since=build.START,
            until=build.START, served=served,
        )  # fmt: skip

    seen = replace(
        state({names.PREEMPTION_RATIO: 0.34, names.KV_USAGE: 1.0}),
        settings=(seen_with(before, served=True), seen_with(8, served=False)),
    )
    assert wanted(Family.BATCHING, "pool:a", seen)[0] == (ActionKind.BATCH_DOWN, first)


def test_a_batch_of_one_cannot_be_smaller() -> None:
    seen = state({names.PREEMPTION_RATIO: 9.0, names.KV_USAGE: 1.0}, batch=1)
    assert [kind for kind, _ in wanted(Family.BATCHING, "pool:a", seen)] == [ActionKind.SCALE_UP]


def test_a_larger_batch_is_named_only_if_its_sequences_fit() -> None:
    for family, subject in ((Family.BATCHING, "pool:a"), (Family.LOAD, "gateway")):
        kinds = {kind for kind, _ in wanted(family, subject, state({names.KV_USAGE: 0.5}))}
        assert ActionKind.BATCH_UP in kinds
        kinds = {kind for kind, _ in wanted(family, subject, state({names.KV_USAGE: 0.51}))}
        assert ActionKind.BATCH_UP not in kinds
        assert ActionKind.SCALE_UP in kinds


def test_where_no_tokens_are_shown_nothing_is_said_of_them() -> None:
    seen = state()
    assert seen.world is not None
    assert not put_back(seen, seen.world)
    assert would_fit(seen, seen.world, ((names.BATCH_MAX, 1024),))
    assert next(kind for kind, _ in wanted(Family.BATCHING, "pool:a", seen)) is ActionKind.BATCH_UP
