"""What an action would do is read from its levers; what it says of itself is not believed."""

from dataclasses import replace
from typing import Any

import pytest

from homeostat.base import names
from homeostat.base.actions import Action, ActionKind, UndoKind
from homeostat.base.guard import Allow, Deny, GuardAnswer, GuardState
from homeostat.safety.capacity import shares
from homeostat.safety.change import bounds, change_of, leaving, replicas_delta, shaped
from homeostat.safety.facts import facts
from homeostat.safety.guard import guard
from homeostat.safety.sight import look, milli, scrapes_ms
from homeostat.testing import guard_scene as g
from homeostat.testing.guard_cases import slo

K = ActionKind
SEEN = look(g.scene(), g.NOW)


def fits(action: Action) -> bool:
    return shaped(action, change_of(action, SEEN, undo=False))


@pytest.mark.parametrize(
    "action",
    [
        replace(g.rollback(), change=(("version.a", 1),)),
        replace(g.rollback(), subject="pool:b"),
        replace(g.scale(4), change=(("replicas.a", float("nan")),)),
        replace(g.scale(4), change=(("replicas.a", "four"),)),
        replace(g.scale(4), change=(("replicas.a", 4.5),)),
        replace(g.scale(4), change=(("replicas.a", 4), ("replicas.b", 2))),
        replace(g.scale(4), change=(("replicas.b", 4),)),
        replace(g.scale(4), ramp=(2.0, float("inf"))),
        replace(g.restart("a-1"), subject="pool:a"),
        replace(g.restart("a-1"), subject="replica:a-2"),
        replace(g.restart("a-1"), change=(("drained.a-1", 0),)),
        replace(g.restart("a-1"), change=(("incarnation.a-1", 2), ("incarnation.a-2", 2))),
        replace(g.drain("a-1"), change=(("drained.a-2", 1),)),
        g.act(K.RETRAIN, names.MODEL, batch_max=3),
        g.act(K.HOLD, names.MODEL, batch_max=3),
    ],
    ids=lambda action: f"{action.kind} {action.subject} {action.change}",
)
def test_levers_that_do_not_fit_the_kind_or_the_subject_are_refused(action: Action) -> None:
    assert not fits(action)


def test_a_restart_may_put_its_own_slot_back_into_rotation() -> None:
    both = (("drained.a-1", 0), ("incarnation.a-1", 2))
    assert fits(replace(g.restart("a-1"), change=both))
    out = (("drained.a-1", 1), ("incarnation.a-1", 2))
    answer = guard(replace(g.restart("a-1"), change=out), g.hung(g.scene()), g.NOW)
    assert isinstance(answer, Deny)


@pytest.mark.parametrize("incarnation", [0, 3, 100])
def test_a_restart_raises_the_incarnation_by_one(incarnation: int) -> None:
    answer = guard(g.restart("a-1", incarnation), g.hung(g.scene()), g.NOW)
    assert isinstance(answer, Deny)
    assert answer.reasons[0].startswith("G1 shape")


def test_a_scale_down_called_scale_up_takes_replicas_out_all_the_same() -> None:
    wolf = replace(g.scale(1), kind=K.SCALE_UP)
    record = facts(wolf, SEEN)
    assert (record["added"], record["taken"], record["directed"]) == (-2, 2, False)


_MEASURES = (
    (ActionKind.SCALE_UP, ActionKind.SCALE_DOWN, names.lever_replicas("a"), names.pool("a")),
    (ActionKind.RESIZE_UP, ActionKind.RESIZE_DOWN, names.CONCURRENCY, names.pool("a")),
    (ActionKind.BATCH_UP, ActionKind.BATCH_DOWN, names.BATCH_MAX, names.pool("a")),
)


@pytest.mark.parametrize(("up", "down", "lever", "subject"), _MEASURES)
def test_each_kind_moves_its_lever_its_own_way(
    up: ActionKind, down: ActionKind, lever: str, subject: str
) -> None:
    state = g.with_levers(g.scene(), **{lever.replace(".", "__"): 3})
    for kind, wanted, right in (
        (up, 4, True), (up, 3, True), (up, 2, False),
        (down, 2, True), (down, 3, True), (down, 4, False),
    ):  # fmt: skip
        action = g.act(kind, subject, **{lever.replace(".", "__"): wanted})
        assert facts(action, look(state, g.NOW))["directed"] is right, (kind, wanted)


def test_a_replica_that_is_not_there_cannot_leave() -> None:
    change = change_of(g.restart("z-9"), SEEN, undo=False)
    assert leaving(change, SEEN) is None
    ghost = replace(change, live=(1,))
    assert leaving(ghost, SEEN) is None


def test_counts_that_are_no_numbers_are_unknown() -> None:
    odd = replace(g.scale(4), change=(("replicas.a", "many"),))
    change = change_of(odd, SEEN, undo=False)
    assert replicas_delta(change) is None
    assert leaving(change, SEEN) is None
    assert bounds(change, SEEN).excess_milli is None


def test_what_cannot_be_exact_is_not_believed_to_be() -> None:
    claims = replace(g.restart("a-1"), undo=UndoKind.EXACT)
    assert facts(claims, SEEN)["undo_kind"] == "compensating"
    assert (
        facts(replace(g.act(K.RETRAIN, "model"), undo=UndoKind.EXACT), SEEN)["undo_kind"] == "none"
    )


def weighted(**levers: Any) -> GuardState:
    return g.with_levers(g.scene(), **levers)


@pytest.mark.parametrize(
    ("state", "wanted"),
    [
        (weighted(weight__b=5), {"a": 95_000, "b": 5_000}),
        (weighted(weight__b=0), {"a": 100_000, "b": 0}),
        (weighted(weight__b=120), {"a": 0, "b": 120_000}),
        (weighted(weight__b=-1), None),
        (weighted(weight__b=float("nan")), None),
        (weighted(weight__b="all"), None),
        (weighted(weight__a=7, weight__b=5), {"a": 95_000, "b": 5_000}),
        (replace(g.scene(), world=None), None),
    ],
)
def test_the_stable_pool_has_what_the_others_leave(
    state: GuardState, wanted: dict[str, int] | None
) -> None:
    assert shares(look(state, g.NOW)) == wanted


def test_without_weights_the_stable_pool_has_it_all() -> None:
    snapshot = g.world()
    levers = tuple(pair for pair in snapshot.levers if not pair[0].startswith("weight."))
    bare = replace(g.scene(), world=replace(snapshot, levers=levers))
    assert shares(look(bare, g.NOW)) == {"a": 100_000}


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (1, 1000),
        (0.0005, 0),
        (-1.5, -1500),
        (1e307, None),
        (10**400, 10**403),
        (True, None),
        (None, None),
        ("1", None),
        (float("inf"), None),
    ],
)
def test_numbers_become_thousandths_or_nothing(value: object, wanted: int | None) -> None:
    assert milli(value) == wanted


def test_guard_times_are_multiples_of_the_scrape_interval() -> None:
    slow = replace(g.managed(), scrape_ns=15_000_000_000)
    assert scrapes_ms(slow, 20.0) == 300_000
    assert scrapes_ms(slow, float("nan")) is None


@pytest.mark.parametrize(("wanted", "answer"), [(1, Deny), (7, Deny), (8, Allow), (1001, Deny)])
def test_no_limit_at_the_gateway_is_no_value_below_its_bounds(
    wanted: int, answer: type[GuardAnswer]
) -> None:
    shed = g.act(ActionKind.SHED_LOAD, names.GATEWAY, gateway_limit=wanted)
    late = slo(g.with_levers(g.scene(), gateway_limit=0), met=False)
    assert isinstance(guard(shed, late, g.NOW), answer)
