from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.base import codec
from homeostat.base.actions import HOLD, Action, ActionKind
from homeostat.base.guard import Allow, Deny, GuardState, NeedApproval, PastAction
from homeostat.base.policy import PolicyRule
from homeostat.base.units import HOUR, SECOND, TimeNs
from homeostat.safety.facts import facts
from homeostat.safety.guard import guard
from homeostat.safety.rule import EXEMPTIONS
from homeostat.safety.rules import RULES
from homeostat.safety.sight import look
from homeostat.safety.tree import Compare, Const, Max, Member, Min, Ref, Scale, Sub
from homeostat.safety.wire import from_wire, to_wire
from homeostat.testing import guard_scene as g

K = ActionKind
TREES = (
    *(rule.require for rule in RULES),
    *EXEMPTIONS.values(),
    Compare("!=", Min((Ref("left"), Sub(Ref("peak"), Scale(-1, Ref("hour"))))), Const(-3)),
    Member(Max((Ref("left"), Const(1))), (0, 2)),
)


def state(rule: PolicyRule, past: tuple[PastAction, ...] = ()) -> GuardState:
    policy = replace(g.POLICY, rules=(rule,), cooldown_scrapes=0.0, scale_in_scrapes=0.0)
    return replace(g.scene(4, policy=policy), past=past)


def rule(text: str, tree: str, **more: object) -> PolicyRule:
    return replace(PolicyRule(name="mine", require=text, tree=tree), **more)  # type: ignore[arg-type]


def deed(kind: ActionKind, seconds: float) -> PastAction:
    at = TimeNs(g.NOW - round(seconds * SECOND))
    return PastAction(id=f"d-{seconds}", kind=kind, subject="pool:a", at=at)


CALM = rule("shrunk < 1", to_wire(Compare("<", Ref("shrunk"), Const(1))), kinds=(K.SCALE_DOWN,))
NEVER = rule("false", '["is",false]')


@pytest.mark.parametrize("tree", TREES, ids=str)
def test_a_tree_comes_back_from_the_wire(tree: Compare) -> None:
    assert from_wire(to_wire(tree)) == tree


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "3", '["is"]', '["is",null]', '["is",0.5]', '["*",true,["is",1]]', '["and"]',
     '["<",["is",1]]', '["ref",3]', '["in",["is",1],[null]]', '["shell","rm"]', "[" * 9999],
)  # fmt: skip
def test_what_is_no_tree_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"tree|Expecting"):
        from_wire(text)


def test_a_policys_rule_denies_what_the_built_in_ones_allow() -> None:
    action = g.scale(3, K.SCALE_DOWN)
    assert guard(action, state(CALM), g.NOW) == Allow()
    said = guard(action, state(CALM, (deed(K.SCALE_DOWN, 600),)), g.NOW)
    assert said == Deny(reasons=("policy mine: demands shrunk < 1; shrunk 1",))
    assert guard(g.scale(5), state(CALM, (deed(K.SCALE_DOWN, 600),)), g.NOW) == Allow()


def test_a_rule_may_ask_instead() -> None:
    said = guard(g.scale(5), state(replace(NEVER, otherwise="ask")), g.NOW)
    assert isinstance(said, NeedApproval)
    assert said.reasons == ("policy mine: demands false",)


def test_holding_and_taking_back_are_no_matter_of_the_policy() -> None:
    assert guard(HOLD, state(NEVER), g.NOW) == Allow()
    assert guard(g.scale(5), state(NEVER), g.NOW, undo=True) == Allow()
    assert isinstance(guard(g.scale(5), state(replace(NEVER, exempt=())), g.NOW, undo=True), Deny)


@pytest.mark.parametrize(
    "broken",
    [rule("?", "?"), rule("x", '["ref","no such fact"]'), rule("x", '["is",3]'),
     replace(NEVER, exempt=("friday",))],
)  # fmt: skip
def test_a_rule_that_cannot_be_read_denies_everything_but_holding(broken: PolicyRule) -> None:
    assert isinstance(guard(g.scale(5), state(broken), g.NOW), Deny)
    assert guard(HOLD, state(broken), g.NOW) == Allow()


ACTIONS = (g.scale(5), g.scale(3, K.SCALE_DOWN), g.restart("a-1"), g.drain("a-1"), g.rollback())


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(TREES[: len(RULES)]), st.sampled_from(ACTIONS), st.booleans())
def test_no_rule_of_a_policy_permits_what_the_built_in_ones_do_not(
    tree: Compare,
    action: Action,
    undo: bool,  # noqa: FBT001 - given by hypothesis
) -> None:
    bare = state(rule("true", '["is",true]'))
    bound = state(rule("text", to_wire(tree), exempt=tuple(EXEMPTIONS)))
    rank = {Deny: 0, NeedApproval: 1, Allow: 2}
    before, after = (guard(action, one, g.NOW, undo=undo) for one in (bare, bound))
    assert rank[type(after)] <= rank[type(before)]


def test_what_was_made_more_and_less_is_counted_for_an_hour() -> None:
    past = (
        deed(K.SCALE_UP, 10), deed(K.BATCH_UP, 20), deed(K.SCALE_DOWN, 30),
        deed(K.DRAIN_REPLICA, 40), deed(K.RESIZE_DOWN, 50), deed(K.SHED_LOAD, 60),
        deed(K.SCALE_DOWN, HOUR / SECOND + 1),
    )  # fmt: skip
    record = facts(g.scale(5), look(state(CALM, past), g.NOW))
    assert (record["grown"], record["shrunk"], record["hour"]) == (2, 3, 6)


def test_a_policys_rules_come_back_from_the_journal_and_old_journals_have_none() -> None:
    managed = state(CALM).managed
    assert codec.decode(codec.encode(managed)) == managed
    old = codec.encode(replace(managed, guard=g.POLICY)).replace(b',"rules":[]', b"")
    assert b'"rules"' not in old
    assert codec.decode(old).guard.rules == ()
