"""Facts about what was done before and what goes on beside: each number worked out by hand."""

from dataclasses import replace

import pytest

from homeostat.base import names
from homeostat.base.actions import Action, ActionKind
from homeostat.base.decisions import Effect
from homeostat.base.guard import TURNS_NS, GuardState, PastAction
from homeostat.base.intent import ActionState
from homeostat.base.policy import Mode
from homeostat.base.units import HOUR, MILLISECOND, SECOND, TimeNs
from homeostat.safety.facts import facts
from homeostat.safety.sight import look
from homeostat.safety.tree import Value
from homeostat.testing import guard_scene as g
from homeostat.testing.guard_cases import fleet, flying, mode, policy, stamped

K = ActionKind
BATCH = g.act(K.BATCH_UP, names.pool("a"), batch_max=16)
SHED = g.act(K.SHED_LOAD, names.GATEWAY, gateway_limit=100)
WRITTEN = [
    ActionState.APPLIED,
    ActionState.SETTLING,
    ActionState.VERIFYING,
    ActionState.ROLLING_BACK,
]


def fact(name: str, state: GuardState, action: Action = BATCH, *, undo: bool = False) -> Value:
    return facts(action, look(state, g.NOW), undo=undo)[name]


def done(
    kind: ActionKind = K.SHED_LOAD,
    ago_ns: int = SECOND,
    subject: str = names.GATEWAY,
    effect: Effect | None = Effect.HELPED,
    number: int = 0,
) -> PastAction:
    return PastAction(
        id=f"d-{number:04d}", kind=kind, subject=subject, at=TimeNs(g.NOW - ago_ns), effect=effect
    )


def after(*past: PastAction) -> GuardState:
    return replace(g.scene(), past=past)


def test_nothing_done_is_said_so() -> None:
    assert fact("acted", g.scene()) is False
    assert fact("since_ms", g.scene()) is None
    assert fact("last_text", g.scene()) == ""
    assert fact("hour", g.scene()) == 0


def test_the_newest_speaks_whatever_the_order() -> None:
    state = after(
        done(ago_ns=5 * SECOND), done(K.ROLLBACK, 3 * SECOND, "pool:a"), done(ago_ns=HOUR)
    )
    assert fact("acted", state) is True
    assert fact("since_ms", state) == 3000
    assert fact("last_text", state) == "rollback pool:a"


def test_an_hour_is_an_hour() -> None:
    assert fact("hour", after(done(ago_ns=HOUR), done(ago_ns=HOUR - 1))) == 1
    assert fact("fleet_hour", fleet(after(done()), actions_last_hour=7)) == 8


@pytest.mark.parametrize(
    ("kind", "grown", "shrunk"),
    [
        (K.SCALE_UP, 1, 0),
        (K.RESIZE_UP, 1, 0),
        (K.BATCH_UP, 1, 0),
        (K.SCALE_DOWN, 0, 1),
        (K.RESIZE_DOWN, 0, 1),
        (K.BATCH_DOWN, 0, 1),
        (K.DRAIN_REPLICA, 0, 1),
        (K.RESTART_REPLICA, 0, 0),
        (K.SHIFT_TRAFFIC, 0, 0),
    ],
)
def test_what_gave_capacity_and_what_took_some(kind: ActionKind, grown: int, shrunk: int) -> None:
    state = after(done(kind), done(kind, HOUR))
    assert (fact("grown", state), fact("shrunk", state)) == (grown, shrunk)


def test_rollbacks_of_this_subject_within_the_hour() -> None:
    state = after(
        done(K.ROLLBACK, subject="pool:a"),
        done(K.ROLLBACK, subject="pool:b"),
        done(K.ROLLBACK, HOUR, "pool:a"),
        done(K.RESTART_REPLICA, subject="pool:a"),
    )
    assert fact("rollbacks", state, g.rollback()) == 1


@pytest.mark.parametrize(
    ("effect", "scrapes"),
    [
        (Effect.NO_CHANGE, 40),
        (Effect.HARMED, 40),
        (Effect.UNKNOWN, 40),
        (Effect.HELPED, 20),
        (None, 20),
    ],
)
def test_a_repeat_that_did_not_help_waits_twice_as_long(
    effect: Effect | None, scrapes: int
) -> None:
    state = after(done(K.BATCH_UP, subject="pool:a", effect=effect))
    assert fact("cooldown_ms", state) == 1000 * scrapes
    assert fact("cooldown_ms", state, SHED) == 20_000, "that is about something else"
    other = g.act(K.BATCH_UP, names.pool("b"), batch_max=16)
    assert fact("cooldown_ms", state, other) == 20_000


@pytest.mark.parametrize(("times", "factor"), [(1, 2), (5, 32), (6, 64), (7, 64), (30, 64)])
def test_the_wait_doubles_six_times(times: int, factor: int) -> None:
    many = [
        done(K.BATCH_UP, subject="pool:a", effect=Effect.HARMED, number=n) for n in range(times)
    ]
    assert fact("cooldown_ms", after(*many)) == 20_000 * factor


def test_times_of_the_policy_that_are_no_numbers_are_unknown() -> None:
    odd = policy(g.scene(), cooldown_scrapes=float("nan"), scale_in_scrapes=float("inf"))
    assert fact("cooldown_ms", odd) is None
    assert fact("scale_in_ms", odd) is None
    assert fact("scale_in_ms", g.scene()) == 40_000


def test_its_own_record_is_no_earlier_action() -> None:
    mine = flying(after(replace(done(), id="d-9999"), done()), BATCH, ActionState.INTENT)
    assert fact("hour", mine) == 1
    assert fact("hour", mine, SHED) == 2


def moved(*steps: tuple[ActionKind, int]) -> GuardState:
    """Return a state in which the largest batch was moved by these kinds, so long ago."""
    moves = [
        replace(done(kind, ago, number=n), levers=(names.BATCH_MAX,))
        for n, (kind, ago) in enumerate(steps)
    ]
    return replace(g.scene(), moves=tuple(moves))


def test_turns_are_of_this_lever_and_of_the_last_quarter_of_an_hour() -> None:
    up, down = K.BATCH_UP, K.BATCH_DOWN
    assert fact("turns", g.scene()) == 0
    assert fact("turns", moved((up, SECOND))) == 0
    assert fact("turns", moved((down, SECOND))) == 1
    assert fact("turns", moved((down, 3), (up, 2), (down, 1))) == 3
    assert fact("turns", moved((down, TURNS_NS + 1), (up, TURNS_NS), (up, 1))) == 0
    assert fact("turns", moved((down, TURNS_NS + 1), (up, TURNS_NS - 1), (up, 1))) == 1
    assert fact("turns", moved((down, 1)), SHED) == 0, "the gateway's limit is no capacity"
    wait = g.act(K.BATCH_UP, names.pool("a"), batch_wait_ms=6.0)
    assert fact("turns", moved((down, 1)), wait) == 0, "another lever turned"
    both = g.act(K.BATCH_UP, names.pool("a"), batch_max=16, batch_wait_ms=6.0)
    assert fact("turns", moved((down, 1)), both) == 1, "the one that turned most speaks"
    mine = flying(moved((down, 1)), BATCH, ActionState.INTENT)
    own = replace(mine, moves=tuple(replace(one, id="d-9999") for one in mine.moves))
    assert (fact("turns", mine), fact("turns", own)) == (1, 0)


@pytest.mark.parametrize("where", WRITTEN)
def test_whose_stamp_it_is_counts_from_our_first_write_on(where: ActionState) -> None:
    ours = flying(g.scene(), BATCH, where, intent=True)
    assert fact("foreign", stamped(ours, intent="d-0001.0.0"), undo=True) is True
    assert fact("foreign", stamped(ours, intent="d-9999.0.0"), undo=True) is False
    assert fact("foreign", stamped(ours, intent="d-99990.0.0"), undo=True) is True
    assert fact("foreign", stamped(ours, intent=None), undo=True) is False
    unsent = flying(g.scene(), BATCH, where)
    assert fact("foreign", stamped(unsent, intent="d-0001.0.0"), undo=True) is False


@pytest.mark.parametrize("where", [ActionState.INTENT, ActionState.READBACK])
def test_what_stood_there_before_our_write_is_nobodys_meddling(where: ActionState) -> None:
    ours = flying(g.scene(), BATCH, where, intent=True)
    assert fact("foreign", stamped(ours, intent="d-0001.0.0")) is False


def test_a_newer_controller_owns_it_whoever_wrote_last() -> None:
    ours = flying(g.scene(), BATCH, ActionState.APPLIED, intent=True)
    for epoch, foreign in ((None, False), (0, False), (1, False), (2, True)):
        assert fact("foreign", stamped(ours, epoch=epoch), undo=True) is foreign
        begun = replace(stamped(g.scene(), epoch=epoch), epoch=1)
        assert fact("foreign", begun) is foreign
        assert fact("foreign", replace(begun, epoch=None)) is False
        assert fact("foreign", mode(begun, Mode.SHADOW)) is False, "a shadow writes nothing"


def test_a_stamp_that_was_not_read_is_unknown() -> None:
    assert fact("foreign", replace(g.scene(), world=None)) is None
    until = replace(g.scene(), foreign_until=TimeNs(g.NOW + 1))
    assert fact("foreign", replace(until, world=None)) is True
    assert fact("foreign", replace(until, foreign_until=g.NOW)) is False


def test_the_share_of_the_fleet_that_may_change_is_at_least_one() -> None:
    for targets, replicas, some, half in ((0, 0, (1, 1), (1, 1)), (40, 80, (4, 20), (2, 10))):
        state = fleet(g.scene(), targets=targets, replicas=replicas)
        whole, weak = stamped(state, token="1"), stamped(state, token=None)
        for one, (deployments, slots) in ((whole, some), (weak, half)):
            assert fact("targets_limit", one) == deployments
            assert fact("replicas_limit", one) == slots
    unread = replace(fleet(g.scene(), targets=40, replicas=80), world=None)
    assert fact("targets_limit", unread) == 4
    assert fact("changing", unread) is None


def test_a_fleet_is_no_smaller_than_this_deployment() -> None:
    state = stamped(fleet(g.scene(7), targets=1, replicas=0), token="1")
    assert fact("replicas_limit", state) == 2, "a quarter of eight slots"
    odd = policy(state, targets_share=float("nan"), replicas_share=float("nan"))
    odd = policy(odd, correlated_share=float("inf"))
    for name in ("targets_limit", "replicas_limit", "correlated_limit_milli"):
        assert fact(name, odd) is None
    assert fact("correlated_limit_milli", fleet(g.scene(), targets=40)) == 8000


def test_another_action_flies_from_its_first_write_to_its_end() -> None:
    flies = {state: fact("flying", flying(g.scene(), SHED, state)) for state in ActionState}
    waits = {ActionState.PROPOSED, ActionState.AWAITING_APPROVAL}
    assert {state for state, flying_ in flies.items() if not flying_} == waits | {
        state for state in ActionState if state.is_terminal
    }


def test_two_canaries_at_once_are_two_changes() -> None:
    state = fleet(g.scene(), targets_changing=2, trying=3, sharing_changing=1, sharing_trying=5)
    assert (fact("targets_changing", state), fact("sharing", state)) == (2, 1)
    ramp = replace(g.act(K.SHIFT_TRAFFIC, names.pool("b"), weight__b=10.0), beside="a")
    assert (fact("targets_changing", state, ramp), fact("sharing", state, ramp)) == (5, 6)


def test_a_yes_is_good_for_as_long_as_the_question() -> None:
    for age_s, approved in ((0.0, True), (60.0, True), (60.001, False), (-0.001, False)):
        state = flying(g.scene(), BATCH, ActionState.INTENT, approved_by="ana", age_s=age_s)
        assert fact("approved", state) is approved, age_s
        assert fact("proposal_age_ms", state) == round(1000 * age_s)
    assert fact("approved", flying(g.scene(), BATCH, ActionState.INTENT)) is False
    late = flying(g.scene(), BATCH, ActionState.INTENT, approved_by="ana", age_s=90.0)
    assert late.in_flight is not None
    later = replace(late, in_flight=replace(late.in_flight, stage=1))
    assert fact("approved", later) is True, "what has begun was said yes to"
    assert fact("proposal_age_ms", later) == 0
    odd = policy(later, approval_ttl_scrapes=float("nan"))
    assert fact("approved", odd) is False


def test_ages_are_in_milliseconds_of_the_clock() -> None:
    assert g.scene().world is not None
    world = replace(g.world(), observed_at=TimeNs(g.NOW - 1500 * MILLISECOND))
    assert fact("world_age_ms", replace(g.scene(), world=world)) == 1500
    assert fact("world_age_ms", replace(g.scene(), world=None)) is None
    assert fact("spares", replace(g.scene(), world=None)) is None
    assert fact("spares", g.scene(spares=2)) == 2


def test_a_part_of_a_change_of_two_levers_is_an_action_of_its_own() -> None:
    """Rungs of a ramp are stages of one lever; what changes two at once has none."""
    both = g.act(K.BATCH_UP, names.pool("a"), batch_max=16, batch_wait_ms=6.0)
    scene = after(replace(done(), id="d-9999"), done())
    mine = flying(scene, replace(both, ramp=(16.0,)), ActionState.INTENT)
    assert fact("hour", mine, replace(both, ramp=(16.0,))) == 1
    assert fact("hour", mine, replace(BATCH, ramp=(16.0,))) == 2
