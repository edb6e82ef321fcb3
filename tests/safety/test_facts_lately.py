"""Facts about settings, canaries and rehearsals at their edges: each worked out by hand."""

from dataclasses import replace

import pytest

from homeostat.base import names
from homeostat.base.actions import HOLD, Action, ActionKind
from homeostat.base.guard import Deny, GuardState, NeedApproval, Setting
from homeostat.base.intent import ActionState, Proof
from homeostat.base.units import MILLISECOND, SECOND, TimeNs
from homeostat.safety.canaried import beyond
from homeostat.safety.facts import facts
from homeostat.safety.guard import guard
from homeostat.safety.permit import permit
from homeostat.safety.sight import look
from homeostat.safety.tree import Value
from homeostat.testing import guard_scene as g
from homeostat.testing.guard_cases import flying, policy, record
from homeostat.testing.guard_lately import RATE_MILLI, replaced, slower
from homeostat.testing.guard_rehearsals import rehearsal, twinned

K = ActionKind
BACK = g.act(K.BATCH_UP, names.pool("a"), batch_max=32)
DOWN = g.scale(2, K.SCALE_DOWN)
RUNGS = (10.0, 20.0, 50.0, 100.0)


def fact(name: str, state: GuardState, action: Action = BACK) -> Value:
    return facts(action, look(state, g.NOW))[name]


def setting(which: int, **changes: object) -> GuardState:
    """Return the way back to 32 with one of its settings changed: 0 what served, 1 the live."""
    state = replaced(g.scene(), 32)
    changed = list(state.settings)
    changed[which] = replace(changed[which], **changes)  # type: ignore[arg-type]
    return replace(state, settings=tuple(changed))


def test_what_served_is_gone_back_to_at_the_rate_it_served() -> None:
    state = replaced(g.scene(), 32)
    assert fact("to_served", state) is True
    assert (fact("rate_milli", state), fact("rate_served_milli", state)) == (RATE_MILLI, RATE_MILLI)
    assert fact("to_served", g.scene()) is False
    assert fact("rate_served_milli", g.scene()) == 0
    both = g.act(K.BATCH_UP, names.pool("a"), batch_max=32, batch_wait_ms=90.0)
    two = replaced(state, 90.0, lever=names.BATCH_WAIT, rate_milli=5)
    assert (fact("to_served", two, both), fact("rate_served_milli", two, both)) == (True, 5)
    assert fact("to_served", state, both) is False, "of the other lever nothing is known"
    assert fact("to_served", state, g.act(K.RETRAIN, names.MODEL)) is False


@pytest.mark.parametrize(("gap_ms", "seen"), [(0, True), (2000, True), (2001, False), (-1, False)])
def test_what_replaced_it_was_seen_at_once(gap_ms: int, *, seen: bool) -> None:
    since = TimeNs(g.NOW - 60 * SECOND)
    state = setting(0, until=TimeNs(since - gap_ms * MILLISECOND))
    assert fact("to_served", state) is seen


@pytest.mark.parametrize(("age_ms", "late"), [(0, True), (120_000, True), (120_001, False)])
def test_what_replaced_it_did_so_lately(age_ms: int, *, late: bool) -> None:
    state = replaced(g.scene(), 32, seconds=age_ms / 1000)
    assert fact("to_served", state) is late


def test_a_history_of_another_length_proves_nothing() -> None:
    state = replaced(g.scene(), 32)
    more = Setting(lever=names.BATCH_MAX, value=4, version="v2", since=TimeNs(0), until=TimeNs(1))
    assert fact("to_served", replace(state, settings=(more, *state.settings))) is False
    assert fact("to_served", replace(state, settings=state.settings[1:])) is False
    assert fact("to_served", setting(0, ticks=1)) is True
    assert fact("to_served", setting(0, ticks=0)) is False
    odd = policy(state, fresh_scrapes=float("nan"))
    assert fact("to_served", odd) is False


def test_requests_are_shared_by_who_is_ready() -> None:
    assert fact("rate_milli", g.scene(4)) == 25_000
    from_one = g.without(g.scene(), [(names.GATEWAY, names.ARRIVAL_RATE)])
    assert fact("rate_milli", from_one) is None
    none = g.scene(1)
    assert fact("rate_milli", none) == 100_000


def test_a_replica_is_slower_for_as_long_as_it_was_seen_to_be() -> None:
    action = g.restart("a-1")
    assert fact("beside_ms", g.scene(), action) == 0
    assert fact("beside_ms", slower(g.scene(), seconds=3.5), action) == 3500
    assert fact("beside_ms", slower(g.scene(), "a-2"), action) == 0
    for ago_ns, counted in ((2 * SECOND, 4000), (2 * SECOND + 1, 0), (-1, 0)):
        state = slower(g.scene())
        told = tuple(replace(one, until=TimeNs(g.NOW - ago_ns)) for one in state.slower)
        assert fact("beside_ms", replace(state, slower=told), action) == counted
    other = slower(g.scene())
    anew = tuple(replace(one, incarnation=2) for one in other.slower)
    assert fact("beside_ms", replace(other, slower=anew), action) == 0
    assert fact("odd_device", slower(g.scene()), action) is True
    assert fact("odd_device", slower(g.scene(), odd=False), action) is False
    assert fact("persist_ms", g.scene()) == 4000


@pytest.mark.parametrize(
    ("value", "live", "proof", "far"),
    [
        (10.0, 0.0, Proof.NONE, 0),
        (20.0, 0.0, Proof.NONE, 10_000),
        (20.0, 10.0, Proof.NONE, 0),
        (50.0, 10.0, Proof.NONE, 30_000),
        (15.0, 12.0, Proof.NONE, 0),
        (5.0, 10.0, Proof.NONE, 0),
        (10.0, 10.0, Proof.NONE, 0),
        (100.0, 50.0, Proof.NONE, 50_000),
        (100.0, 50.0, Proof.ASKED, 50_000),
        (100.0, 50.0, Proof.UNPROVEN, 0),
        (100.0, 50.0, Proof.CERTIFIED, 0),
        (100.0, 20.0, Proof.CERTIFIED, 50_000),
        (120.0, 100.0, Proof.CERTIFIED, 0),
    ],
)
def test_how_far_beyond_the_next_rung(value: float, live: float, proof: Proof, far: int) -> None:
    own = replace(record(BACK, ActionState.INTENT), proof=proof)
    assert beyond(value, live, RUNGS, own) == far


def test_a_ramp_that_is_proposed_is_known_by_its_end() -> None:
    assert beyond(100.0, 0.0, RUNGS, None) == 0
    assert beyond(50.0, 0.0, RUNGS, None) == 40_000
    assert beyond(100.0, None, RUNGS, None) is None
    assert beyond(float("nan"), 0.0, RUNGS, None) is None
    assert beyond(100.0, 0.0, (10.0, float("nan")), None) is None


def text(state: GuardState) -> tuple[Value, ...]:
    found = facts(DOWN, look(state, g.NOW))
    return tuple(found[name] for name in ("twin", "trusted", "twin_text", "worse"))


def test_what_the_twin_says_is_good_for_so_long_and_about_this_action() -> None:
    assert text(g.scene()) == (False, False, "no twin", False)
    assert text(twinned(g.scene(), None)) == (True, False, "no rehearsal of it", False)
    other = twinned(g.scene(), rehearsal(BACK))
    assert text(other) == (True, False, "no rehearsal of it", False)
    doubt = twinned(g.scene(), rehearsal(DOWN, why="it was never checked"))
    assert text(doubt) == (True, False, "it was never checked", False)
    for age_ns, good in ((0, True), (10 * SECOND, True), (10 * SECOND + 1, False), (-1, False)):
        state = twinned(g.scene(), rehearsal(DOWN, age_ns=age_ns))
        said = "" if good else "its rehearsal is too old"
        assert text(state) == (True, good, said, False)
    for breach, worse in ((0.05, False), (0.06, True)):
        state = twinned(g.scene(), rehearsal(DOWN, breach=breach))
        assert text(state) == (True, True, "", worse)
    harm = twinned(g.scene(), rehearsal(DOWN, breach=0.9, why="it was never checked"))
    assert text(harm)[3] is False, "what is not believed forbids by that"


def test_a_rehearsal_is_as_old_as_it_was_when_its_action_was_proposed() -> None:
    old = twinned(g.scene(), rehearsal(DOWN, age_ns=15 * SECOND))
    assert text(old)[1] is False
    assert text(flying(old, DOWN, ActionState.INTENT, age_s=5.0))[1] is True
    assert text(flying(old, DOWN, ActionState.INTENT, age_s=4.9))[1] is False


def test_a_safe_set_says_of_each_candidate_once_what_becomes_of_it() -> None:
    ask = policy(g.scene(), auto_kinds=(K.SCALE_UP,))
    up, batch = g.scale(4), g.act(K.BATCH_UP, names.pool("a"), batch_max=16)
    lost = g.act(K.RESTART_ALL, names.MODEL, **{"incarnation__a-1": 2})
    found = permit((lost, batch, up, up, HOLD, g.scale(5)), ask, g.NOW)
    assert found.allowed == (HOLD, up, g.scale(5))
    assert found.approvals == (batch,)
    assert [one.action for one in found.refused] == [lost]
    assert (found.at, found.policy_digest) == (g.NOW, "0" * 64)
    first = permit((lost, batch, up, g.scale(5)), ask, g.NOW, first=True)
    assert first.allowed == (HOLD, up)
    assert permit((), ask, g.NOW).allowed == (HOLD,)


def test_a_question_without_a_time_to_live_is_refused() -> None:
    asks = policy(g.scene(), auto_kinds=())
    answer = guard(BACK, replaced(asks, 32), g.NOW)
    assert isinstance(answer, NeedApproval)
    assert answer.ttl_ns == 60 * SECOND
    for scrapes in (0.0, -1.0, float("nan")):
        never = guard(BACK, policy(replaced(asks, 32), approval_ttl_scrapes=scrapes), g.NOW)
        assert isinstance(never, Deny), scrapes
    moment = MILLISECOND / asks.managed.scrape_ns
    short = guard(BACK, policy(replaced(asks, 32), approval_ttl_scrapes=moment), g.NOW)
    assert isinstance(short, NeedApproval)
    assert short.ttl_ns == MILLISECOND


def test_a_refusal_names_what_was_not_known() -> None:
    blind = g.without(g.scene(), [("pool:a", names.UTILISATION)])
    answer = guard(DOWN, blind, g.NOW)
    assert isinstance(answer, Deny)
    (why,) = [one for one in answer.reasons if one.startswith("G7 capacity")]
    assert why.endswith("allowed 0.8; not known: util_after_milli")
    known = guard(g.scale(1, K.SCALE_DOWN), g.scene(), g.NOW)
    assert isinstance(known, Deny)
    assert not any("not known" in one for one in known.reasons)
