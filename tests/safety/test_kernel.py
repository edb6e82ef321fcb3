"""The kernel as a whole: total, deaf to doubt, and never a trap."""

import math
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from homeostat.base import names
from homeostat.base.actions import HOLD, Action, ActionKind
from homeostat.base.decisions import Effect
from homeostat.base.evidence import Family, Quality, Reading, Verdict
from homeostat.base.guard import Allow, Deny, GuardAnswer, GuardState, NeedApproval, PastAction
from homeostat.base.policy import KillLevel, Mode
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import ReplicaState
from homeostat.policy.runbook import ESCALATE
from homeostat.safety.facts import facts
from homeostat.safety.fields import FIELDS, TYPES
from homeostat.safety.guard import compile_rules, guard
from homeostat.safety.rule import Rule
from homeostat.safety.rules import RULES
from homeostat.safety.sight import look
from homeostat.safety.tree import Compare, Const, Expr, Ref, Value
from homeostat.testing import guard_scene as g

PERMISSIVENESS = {Deny: 0, NeedApproval: 1, Allow: 2}
K = ActionKind

ACTIONS = (
    g.restart("a-1"),
    g.drain("a-1"),
    g.restart("b-1"),
    g.rollback(),
    g.scale(4),
    g.scale(6),
    g.scale(2, K.SCALE_DOWN),
    g.act(K.BATCH_UP, "pool:a", batch_max=16),
    g.act(K.BATCH_DOWN, "pool:a", batch_max=4),
    g.act(K.RESIZE_UP, "pool:a", concurrency_max=20),
    g.act(K.RESIZE_DOWN, "pool:a", concurrency_max=12),
    g.act(K.SHIFT_TRAFFIC, "pool:b", weight__b=25.0),
    g.act(K.SHIFT_TRAFFIC, "pool:a", weight__b=1.0),
    g.act(K.SHED_LOAD, names.GATEWAY, gateway_limit=100),
    g.act(K.RETRAIN, names.MODEL),
)
STATES = (
    g.scene(),
    g.hung(g.scene()),
    g.slow(g.scene()),
    g.slow(g.scene(), family=Family.MEMORY),
    g.slow(g.scene(), family=Family.DEVICE_MEMORY),
    g.bad_release(g.scene()),
    g.overload(g.scene()),
    g.with_slot(g.scene(), "a-1", ReplicaState.GONE),
    g.with_slot(g.scene(), "a-2", ReplicaState.DRAINING),
    g.hung(g.hung(g.scene(5)), "a-2"),
    g.told(g.scene(), g.reading("replica:a-2", names.PROCESS_UP, 0.0)),
    g.told(g.scene(), g.reading("pool:b", names.ERROR_RATIO, 0.5, Verdict.ANOMALOUS)),
)
SHRINKS = {K.SCALE_DOWN, K.DRAIN_REPLICA, K.RESTART_REPLICA, K.RESIZE_DOWN, K.SHED_LOAD}
PROMOTES = {K.SHIFT_TRAFFIC, K.ROLLBACK}


def rank(answer: GuardAnswer) -> int:
    return PERMISSIVENESS[type(answer)]


# --- total ------------------------------------------------------------------------------------

ODD: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.floats(),
    st.integers(),
    st.integers(min_value=10**30, max_value=10**40),
    st.just(math.nan),
    st.just(-math.inf),
    st.text(max_size=5),
    st.booleans(),
    st.just(()),
    st.just(("x",)),
    st.just((("replicas.a", math.nan),)),
    st.just((("replicas.a", 10**400),)),
    st.just((("", 1),)),
)


def spoilt(value: Any, data: st.DataObject) -> Any:
    """Return the value with one field, anywhere inside, replaced by something odd."""
    name = data.draw(st.sampled_from([field.name for field in fields(value)]), label="field")
    inner = getattr(value, name)
    if hasattr(inner, "__dataclass_fields__") and data.draw(st.booleans(), label="deeper"):
        return replace(value, **{name: spoilt(inner, data)})
    nested = isinstance(inner, tuple) and inner and hasattr(inner[0], "__dataclass_fields__")
    if nested and data.draw(st.booleans(), label="inside"):
        index = data.draw(st.integers(0, len(inner) - 1))
        changed = spoilt(inner[index], data)
        return replace(value, **{name: (*inner[:index], changed, *inner[index + 1 :])})
    return replace(value, **{name: data.draw(ODD, label=name)})


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), st.sampled_from(STATES), st.sampled_from(ACTIONS), st.booleans())
def test_the_guard_answers_whatever_it_is_asked(
    data: st.DataObject,
    state: GuardState,
    action: Action,
    undo: bool,  # noqa: FBT001 - given by hypothesis
) -> None:
    for _ in range(data.draw(st.integers(1, 4))):
        state = spoilt(state, data)
    if data.draw(st.booleans()):
        action = spoilt(action, data)
    now = data.draw(st.integers().map(TimeNs) | st.just(g.NOW))
    assert isinstance(guard(action, state, now, undo=undo), Allow | Deny | NeedApproval)
    assert guard(HOLD, state, now) == Allow()
    assert guard(ESCALATE, state, now) == Allow()


@pytest.mark.parametrize("thing", [None, 3, "hold", ()])
def test_what_is_no_action_or_no_state_is_denied(thing: Any) -> None:
    assert isinstance(guard(thing, g.scene(), g.NOW), Deny)
    assert isinstance(guard(g.scale(4), thing, g.NOW), Deny)
    assert guard(HOLD, thing, g.NOW) == Allow()


def test_doing_nothing_must_really_do_nothing() -> None:
    for passive in (HOLD, ESCALATE):
        trojan = replace(passive, change=(("replicas.a", 0),))
        assert isinstance(guard(trojan, g.scene(), g.NOW), Deny)
        assert isinstance(guard(trojan, None, g.NOW), Deny)  # type: ignore[arg-type]


def test_every_fact_is_stated_and_typed() -> None:
    python = {"bool": bool, "int": int, "str": str}
    for state in STATES:
        for action in ACTIONS:
            record = facts(action, look(state, g.NOW))
            assert record.keys() == FIELDS.keys()
            for name, value in record.items():
                assert value is None or type(value) is python[TYPES[name]], (name, value)


# --- doubt never allows more -------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(st.data(), st.sampled_from(STATES), st.sampled_from(ACTIONS))
def test_taking_readings_away_never_permits_more(
    data: st.DataObject, state: GuardState, action: Action
) -> None:
    assert state.evidence is not None
    keys = [(one.subject, one.signal) for one in state.evidence.readings]
    less = g.without(state, data.draw(st.sets(st.sampled_from(keys))))
    assert rank(guard(action, less, g.NOW)) <= max(
        rank(guard(action, state, g.NOW)),
        # A rollback that the older version speaks against may become a question, never an act.
        PERMISSIVENESS[NeedApproval] if action.kind is K.ROLLBACK else 0,
    )


def doubt(state: GuardState, data: st.DataObject) -> GuardState:
    """Return the state with one thing less known."""
    assert state.evidence is not None
    assert state.world is not None
    index = data.draw(st.integers(0, len(state.evidence.readings) - 1))
    reading = state.evidence.readings[index]
    worse = data.draw(
        st.sampled_from([
            replace(reading, quality=Quality.STALE, value=None, verdict=Verdict.UNKNOWN),
            replace(reading, quality=Quality.ABSURD, value=math.nan),
            replace(reading, age_ns=60 * SECOND),
            replace(reading, age_ns=-1),
        ])
    )
    readings = list(state.evidence.readings)
    readings[index] = worse
    blurred = replace(state.evidence, readings=tuple(readings))
    choices = [
        replace(state, evidence=blurred),
        replace(state, evidence=replace(blurred, slo_met=None)),
        replace(state, evidence=replace(blurred, ready=False)),
        replace(state, evidence=None),
        replace(state, world=None),
        replace(state, world=replace(state.world, stamps=())),
        replace(state, world=replace(state.world, levers=())),
        replace(state, world=replace(state.world, releases=())),
        replace(state, verified=()),
        replace(state, fleet=replace(state.fleet, sensors_ok=False)),
    ]
    return data.draw(st.sampled_from(choices))


@settings(max_examples=200, deadline=None)
@given(st.data(), st.sampled_from(STATES), st.sampled_from(ACTIONS))
def test_doubt_of_any_kind_never_permits_more(
    data: st.DataObject, state: GuardState, action: Action
) -> None:
    unsure = doubt(state, data)
    # Fewer live levers or no world can only make a change harder to judge.
    assert rank(guard(action, unsure, g.NOW)) <= max(
        rank(guard(action, state, g.NOW)), 1 if action.kind is K.ROLLBACK else 0
    )


@pytest.mark.parametrize("state", STATES)
def test_blind_only_capacity_is_added_and_actions_undone(state: GuardState) -> None:
    blind = replace(state, evidence=None)
    allowed = {
        action.kind for action in ACTIONS if not isinstance(guard(action, blind, g.NOW), Deny)
    }
    assert allowed <= {K.SCALE_UP}
    assert isinstance(guard(g.scale(5), blind, g.NOW), Deny)
    assert guard(g.act(K.BATCH_UP, "pool:a", batch_max=16), blind, g.NOW, undo=True) == Allow()


ESTIMATES = (names.PREDICTION_SHIFT, names.FEATURE_SHIFT, names.ACCURACY, names.DEVICE_TIME)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(STATES),
    st.sampled_from(ACTIONS),
    st.lists(
        st.builds(
            g.reading,
            st.sampled_from(["gateway", "pool:a", "pool:b", "model"]),
            st.sampled_from(ESTIMATES),
            st.floats(0, 1),
            st.sampled_from(list(Verdict)),
        ),
        max_size=4,
    ),
)
def test_no_estimate_enlarges_the_safe_set(
    state: GuardState, action: Action, readings: list[Reading]
) -> None:
    before = rank(guard(action, state, g.NOW))
    assert rank(guard(action, g.told(state, *readings), g.NOW)) <= before


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(STATES), st.sampled_from(ACTIONS), st.floats(0.0, 3.0), st.floats(0.0, 3.0))
def test_a_larger_load_never_permits_taking_capacity_away(
    state: GuardState, action: Action, first: float, second: float
) -> None:
    low, high = sorted((first, second))

    def loaded(share: float) -> GuardState:
        return g.told(
            state,
            g.reading("pool:a", names.UTILISATION, share),
            g.reading("pool:b", names.UTILISATION, share),
        )

    assert rank(guard(action, loaded(high), g.NOW)) <= rank(guard(action, loaded(low), g.NOW))


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(STATES),
    st.sampled_from(ACTIONS),
    st.lists(
        st.builds(
            PastAction,
            id=st.just("d-1"),
            kind=st.sampled_from(list(K)),
            subject=st.sampled_from(["pool:a", "replica:a-1"]),
            at=st.integers(0, 4000).map(lambda s: TimeNs(g.NOW - s * SECOND)),
            effect=st.none() | st.sampled_from(list(Effect)),
        ),
        max_size=8,
    ),
    st.integers(0, 200),
    st.integers(0, 5),
)
def test_having_done_more_never_permits_more(
    state: GuardState, action: Action, past: list[PastAction], fleet: int, tries: int
) -> None:
    busy = replace(
        state,
        past=tuple(sorted(past, key=lambda one: one.at)),
        tries=tries,
        fleet=replace(state.fleet, actions_last_hour=fleet),
    )
    assert rank(guard(action, busy, g.NOW)) <= rank(guard(action, state, g.NOW))


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: f"{action.kind}-{action.subject}")
def test_the_kill_switch_is_obeyed(state: GuardState, action: Action) -> None:
    for level in (KillLevel.NO_NEW, KillLevel.NOTHING, "garbled"):
        thrown = replace(state, kill=level)  # type: ignore[arg-type]
        assert isinstance(guard(action, thrown, g.NOW), Deny)
    for level in (KillLevel.NOTHING, "garbled"):
        thrown = replace(state, kill=level)  # type: ignore[arg-type]
        assert isinstance(guard(action, thrown, g.NOW, undo=True), Deny)


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: f"{action.kind}-{action.subject}")
def test_a_shadow_changes_nothing_and_approve_always_asks(action: Action) -> None:
    for state in STATES:
        shadow = replace(state, managed=replace(state.managed, mode=Mode.SHADOW))
        ask = replace(state, managed=replace(state.managed, mode=Mode.APPROVE))
        assert isinstance(guard(action, shadow, g.NOW), Deny)
        assert not isinstance(guard(action, ask, g.NOW), Allow)


# --- the compiler ------------------------------------------------------------------------------


def rule(require: Expr, **more: Any) -> Rule:
    return Rule(id="G99", name="test", source="here", require=require, message="{spares}", **more)


def test_a_rule_over_facts_that_do_not_exist_is_refused() -> None:
    for require in (Ref("nothing"), Ref("spares"), Compare("<", Ref("kind"), Const(1))):
        with pytest.raises(TypeError):
            compile_rules([rule(require)])


@pytest.mark.parametrize(
    ("spares", "denials", "questions"),
    [(1, (), ()), (0, ("G99 test: 0",), ()), (None, (), ("G99 test: unknown; not known: spares",))],
)
def test_what_follows_from_false_and_from_unknown_is_the_rules_own(
    spares: int | None, denials: tuple[str, ...], questions: tuple[str, ...]
) -> None:
    record: dict[str, Value] = {**dict.fromkeys(TYPES), "kind": "scale_up", "spares": spares}
    enough = Compare(">=", Ref("spares"), Const(1))
    asks = compile_rules([rule(enough, on_unknown="ask")])
    assert asks.judge(record) == (denials, questions)
    lenient = compile_rules([rule(enough, on_unknown="pass")])
    assert lenient.judge(record) == (denials, ())
    elsewhere = compile_rules([rule(enough, kinds=frozenset({K.SHED_LOAD}))])
    assert elsewhere.judge(record) == ((), ())


def test_no_shipped_rule_lets_the_unknown_pass() -> None:
    assert all(one.on_unknown != "pass" and one.on_false != "pass" for one in RULES)
