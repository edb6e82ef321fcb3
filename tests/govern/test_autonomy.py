"""The autonomy ladder: never auto without evidence or a word of a person; one harm ends it."""

from dataclasses import replace
from functools import reduce
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeostat.base.actions import Action, ActionKind
from homeostat.base.autonomy import Grant
from homeostat.base.intent import ActionRecord, ActionState
from homeostat.base.policy import GuardPolicy
from homeostat.base.types import TimeNs
from homeostat.govern import autonomy
from homeostat.govern.autonomy import NEEDED, Ledger

UP, DOWN, SHIFT = ActionKind.SCALE_UP, ActionKind.SCALE_DOWN, ActionKind.SHIFT_TRAFFIC
KINDS: Final = (UP, DOWN, SHIFT)
ENDS: Final = [state for state in ActionState if state.is_terminal]
TIMES = st.integers(1, 40).map(TimeNs)


def ended(
    at: int, state: ActionState = ActionState.SUCCEEDED, kind: ActionKind = UP, where: str = "m",
    undoes: str = "", *, harmed: bool = False,
) -> ActionRecord:  # fmt: skip
    """Return an action at its end; its id says when."""
    return ActionRecord(
        id=f"d-{at:04d}", deployment=where, incident_id="",
        action=Action(kind=kind, subject="pool:a"), state=state, epoch=1, stage=0, attempt=0,
        undo_attempts=0, intent=None, first_pre=(), proposed_at=TimeNs(0),
        state_since=TimeNs(at), deadline=TimeNs(at), undoes=undoes, harmed=harmed,
    )  # fmt: skip


def word(at: int, *, given: bool = True, kind: ActionKind = UP, where: str = "m") -> Grant:
    return Grant(at=TimeNs(at), deployment=where, kind=kind, given=given, by="ada", why="seen")


def ledger(*facts: ActionRecord | Grant) -> Ledger:
    def fold(so_far: Ledger, fact: ActionRecord | Grant) -> Ledger:
        if isinstance(fact, Grant):
            return autonomy.granted(so_far, fact)
        return autonomy.counted(so_far, fact)

    return reduce(fold, facts, Ledger())


RECORDS = st.builds(
    ended, TIMES, st.sampled_from(ENDS), st.sampled_from(KINDS), st.sampled_from(["m", "n"]),
    harmed=st.booleans(),
)  # fmt: skip
GRANTS = st.builds(
    word, TIMES, given=st.booleans(), kind=st.sampled_from(KINDS), where=st.sampled_from(["m", "n"])
)
FACTS = st.lists(RECORDS | GRANTS, max_size=25)
SOME = st.lists(st.sampled_from(KINDS), max_size=3, unique=True).map(tuple)
POLICIES = st.builds(
    GuardPolicy, auto_kinds=SOME, earn_kinds=SOME, granted_by=st.sampled_from(["", " ", "ada"])
)
EARNS = GuardPolicy(earn_kinds=(UP,), granted_by="ada")
GRANTS_UP = GuardPolicy(auto_kinds=(UP,), granted_by="ada")


@given(facts=FACTS, policy=POLICIES)
def test_nothing_runs_unasked_that_the_policy_does_not_name(
    facts: list[ActionRecord | Grant], policy: GuardPolicy
) -> None:
    auto = autonomy.effective(ledger(*facts), policy, "m")
    assert set(auto) <= set(policy.auto_kinds) | set(policy.earn_kinds)
    assert not auto or policy.granted_by.strip()


@given(facts=FACTS, policy=POLICIES, kind=st.sampled_from(KINDS))
def test_what_runs_unasked_was_granted_or_has_the_evidence(
    facts: list[ActionRecord | Grant], policy: GuardPolicy, kind: ActionKind
) -> None:
    """An independent reading of the rule, over the facts themselves."""
    runs = kind in autonomy.effective(ledger(*facts), policy, "m")
    own = [f for f in facts if isinstance(f, ActionRecord) and f.action.kind is kind]
    harms = [f for f in own if f.harmed or f.state in autonomy._HARM]
    harmed = max((int(f.state_since) for f in harms), default=0)
    said = [
        f for f in facts
        if isinstance(f, Grant) and f.kind is kind and f.deployment == "m" and f.at > harmed
    ]  # fmt: skip
    by_policy = kind in policy.auto_kinds and harmed == 0
    if runs:
        assert by_policy or any(f.given for f in said)  # 25 facts are no evidence
    elif by_policy and policy.granted_by.strip():
        assert any(not f.given for f in facts if isinstance(f, Grant) and f.kind is kind)


@given(facts=FACTS, policy=POLICIES)
def test_a_harm_takes_its_kind_from_every_deployment(
    facts: list[ActionRecord | Grant], policy: GuardPolicy
) -> None:
    after = ledger(*facts, ended(41, ActionState.ROLLED_BACK, where="elsewhere"))
    for where in ("m", "n", "elsewhere"):
        assert UP not in autonomy.effective(after, policy, where)
    before = autonomy.effective(ledger(*facts), policy, "m")
    assert set(before) - {UP} == set(autonomy.effective(after, policy, "m"))


@given(facts=FACTS, seed=st.randoms(use_true_random=False), cut=st.integers(0, 25))
def test_journals_may_be_merged_in_any_order_and_read_twice(
    facts: list[ActionRecord | Grant], seed: object, cut: int
) -> None:
    whole = ledger(*facts)
    other = list(facts)
    seed.shuffle(other)  # type: ignore[attr-defined]  # hypothesis' random
    assert ledger(*other) == whole
    assert ledger(*facts, *other) == whole
    left, right = ledger(*facts[:cut]), ledger(*facts[cut:])
    assert autonomy.merge(left, right) == autonomy.merge(right, left) == whole


def test_fifty_nine_harmless_actions_earn_it_and_fifty_eight_do_not() -> None:
    actions = [ended(at, where=("m", "n")[at % 2]) for at in range(1, NEEDED + 1)]
    assert autonomy.effective(ledger(*actions[:-1]), EARNS, "m") == ()
    assert autonomy.effective(ledger(*actions), EARNS, "m") == (UP,)
    assert ledger(*actions).of(UP).bound < 0.05 <= ledger(*actions[1:]).of(UP).bound
    assert autonomy.effective(ledger(*actions), GuardPolicy(granted_by="ada"), "m") == ()
    again = [ended(at) for at in range(100, 100 + NEEDED)]
    lost = [*actions, ended(99, ActionState.STUCK)]
    assert autonomy.effective(ledger(*lost, *again[:-1]), EARNS, "m") == ()
    assert autonomy.effective(ledger(*lost, *again), EARNS, "m") == (UP,)


def test_only_what_was_verified_to_help_counts() -> None:
    for state in set(ENDS) - {ActionState.SUCCEEDED}:
        others = [ended(at, state) for at in range(1, 200)]
        assert autonomy.effective(ledger(*others), EARNS, "m") == (), state
    undone = [ended(at, undoes="d-9999") for at in range(1, 200)]
    assert autonomy.effective(ledger(*undone), EARNS, "m") == ()


def test_what_was_lost_comes_back_by_a_named_persons_word_alone() -> None:
    lost = (ended(10, ActionState.ROLLED_BACK),)
    assert autonomy.effective(ledger(*lost), GRANTS_UP, "m") == ()
    assert autonomy.effective(ledger(*lost, word(9)), GRANTS_UP, "m") == ()
    back = ledger(*lost, word(11))
    assert autonomy.effective(back, GRANTS_UP, "m") == (UP,)
    assert autonomy.effective(back, GRANTS_UP, "n") == ()
    assert "granted by ada: seen" in autonomy.standing(back, UP, GRANTS_UP, "m").because
    withdrawn = ledger(*lost, word(11), word(12, given=False))
    assert autonomy.effective(withdrawn, GRANTS_UP, "m") == ()


def test_a_policy_may_keep_what_it_grants_through_a_harm_but_not_what_was_earned() -> None:
    keeps = replace(GRANTS_UP, earn_kinds=(UP, DOWN), lost_on_harm=False)
    harmed = ledger(
        *(ended(at, kind=kind) for kind in (UP, DOWN) for at in range(1, 60)),
        ended(70, ActionState.ROLLED_BACK), ended(70, ActionState.ROLLED_BACK, DOWN),
    )  # fmt: skip
    assert autonomy.effective(harmed, keeps, "m") == (UP,)


def test_what_is_forgotten_is_the_oldest_whatever_the_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(autonomy, "KEPT", 3)
    facts = [ended(at) for at in range(1, 7)] + [ended(4, ActionState.STUCK, where="n")]
    first = ledger(*facts)
    assert [deed.at for deed in first.of(UP).good] == [5, 6]
    for turn in range(len(facts)):
        turned = [*facts[turn:], *facts[:turn]]
        assert ledger(*turned) == ledger(*reversed(turned)) == first


@pytest.mark.parametrize("state", list(ActionState))
def test_harm_that_was_found_counts_whatever_the_state_and_at_once(state: ActionState) -> None:
    earned = [ended(at) for at in range(1, NEEDED + 1)]
    assert autonomy.effective(ledger(*earned), EARNS, "n") == (UP,)
    found = ledger(*earned, ended(100, state, harmed=True))
    assert autonomy.effective(found, EARNS, "n") == ()


def test_the_watchs_undo_is_harm_of_what_it_takes_back_and_a_persons_is_none() -> None:
    promoted = ended(5, kind=SHIFT)
    undone = ended(9, kind=SHIFT, undoes="d-0005", harmed=True)
    harm = ledger(promoted, undone).of(SHIFT).harm
    assert harm is not None
    assert (harm.id, int(harm.at)) == ("d-0005", 9)
    assert ledger(promoted, ended(9, kind=SHIFT, undoes="d-0005")).of(SHIFT).harm is None
