"""Each guard, at its boundary; and the proof that these cases would miss no dropped rule."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import pytest

from homeostat.base import names
from homeostat.base.actions import Action, ActionKind, UndoKind
from homeostat.base.decisions import Effect
from homeostat.base.events import FleetView
from homeostat.base.evidence import Family, Quality, Verdict
from homeostat.base.guard import Allow, Deny, GuardAnswer, GuardState, NeedApproval, PastAction
from homeostat.base.intent import ActionRecord, ActionState, Intent
from homeostat.base.policy import KillLevel, Mode
from homeostat.base.units import HOUR, SECOND, TimeNs
from homeostat.base.world import ReplicaState
from homeostat.safety.facts import facts
from homeostat.safety.guard import compile_rules, guard
from homeostat.safety.rule import EXEMPTIONS, Rule
from homeostat.safety.rules import RULES
from homeostat.safety.sight import look
from homeostat.safety.tree import And, Compare, Expr, Member, Not, Or, Scale, Value
from homeostat.testing import guard_scene as g

S = g.scene
UP2, UP1 = g.scale(5), g.scale(4)
DOWN = g.scale(2, ActionKind.SCALE_DOWN)
BATCH = g.act(ActionKind.BATCH_UP, names.pool("a"), batch_max=16)
SHED = g.act(ActionKind.SHED_LOAD, names.GATEWAY, gateway_limit=100)
SHIFT = g.act(ActionKind.SHIFT_TRAFFIC, names.pool("b"), weight__b=10.0)
TO_NEW = g.act(ActionKind.SHIFT_TRAFFIC, names.pool("a"), weight__b=2.0)
RESIZE_DOWN = g.act(ActionKind.RESIZE_DOWN, names.pool("a"), concurrency_max=12)
RETRAIN = replace(g.act(ActionKind.RETRAIN, names.MODEL), undo=UndoKind.EXACT)
RESTART, DRAIN, ROLLBACK = g.restart("a-1"), g.drain("a-1"), g.rollback()


@dataclass(frozen=True)
class Case:
    """One question to the guard and the one rule that decides it; no rule means Allow."""

    name: str
    state: GuardState
    action: Action
    wanted: str = "allow"
    rule: str = ""
    undo: bool = False


def policy(state: GuardState, **changes: object) -> GuardState:
    guard_policy = replace(state.managed.guard, **changes)  # type: ignore[arg-type]
    return replace(state, managed=replace(state.managed, guard=guard_policy))


def mode(state: GuardState, wanted: Mode) -> GuardState:
    return replace(state, managed=replace(state.managed, mode=wanted))


def past(
    seconds_ago: float,
    *,
    times: int = 1,
    effect: Effect | None = Effect.HELPED,
    action: Action = SHED,
) -> tuple[PastAction, ...]:
    return tuple(
        PastAction(
            id=f"d-{number:04d}",
            kind=action.kind,
            subject=action.subject,
            at=TimeNs(g.NOW - round(seconds_ago * SECOND)),
            effect=effect,
        )
        for number in range(times)
    )


def record(
    action: Action,
    state: ActionState,
    *,
    approved_by: str = "",
    age_s: float = 1.0,
    intent: bool = False,
    pre: tuple[tuple[str, float], ...] = (),
) -> ActionRecord:
    at = TimeNs(g.NOW - round(age_s * SECOND))
    write = Intent(
        id="d-9999.0.0",
        action_id="d-9999",
        deployment=g.NAME,
        actuator=action.actuator,
        epoch=1,
        stage=0,
        pre=(),
        post=action.change,
        token=None,
        evidence_at=at,
        deadline=g.NOW,
    )
    return ActionRecord(
        id="d-9999",
        deployment=g.NAME,
        incident_id="",
        action=action,
        state=state,
        epoch=1,
        stage=0,
        attempt=0,
        undo_attempts=0,
        intent=write if intent else None,
        first_pre=pre,
        proposed_at=at,
        state_since=at,
        deadline=g.NOW,
        approved_by=approved_by,
    )


def flying(state: GuardState, action: Action, where: ActionState, **more: object) -> GuardState:
    return replace(state, in_flight=record(action, where, **more))  # type: ignore[arg-type]


def fleet(state: GuardState, **changes: object) -> GuardState:
    base = FleetView(targets=100, replicas=400)
    return replace(state, fleet=replace(base, **changes))  # type: ignore[arg-type]


def stamped(state: GuardState, **changes: object) -> GuardState:
    assert state.world is not None
    stamps = tuple(replace(stamp, **changes) for stamp in state.world.stamps)  # type: ignore[arg-type]
    return replace(state, world=replace(state.world, stamps=stamps))


def aged(state: GuardState, *, evidence_s: float = 0.0, world_s: float = 0.0) -> GuardState:
    assert state.world is not None
    assert state.evidence is not None
    return replace(
        state,
        evidence=replace(state.evidence, at=TimeNs(g.NOW - round(evidence_s * SECOND))),
        world=replace(state.world, observed_at=TimeNs(g.NOW - round(world_s * SECOND))),
    )


def young(state: GuardState) -> GuardState:
    """Return the state with readings of age zero, so that only the tick's age counts."""
    assert state.evidence is not None
    readings = tuple(replace(one, age_ns=0) for one in state.evidence.readings)
    return replace(state, evidence=replace(state.evidence, readings=readings))


def quiet(state: GuardState, *slots: str) -> GuardState:
    """Return the state in which nothing is heard of some replicas."""
    signals = (names.PROBE_FAILURES, names.LATENCY_P95)
    return g.without(state, [(names.replica(slot), signal) for slot in slots for signal in signals])


def quality(state: GuardState, signal: str, wanted: Quality) -> GuardState:
    assert state.evidence is not None
    readings = tuple(
        replace(one, quality=wanted, value=None)
        if (one.subject, one.signal) == (names.GATEWAY, signal)
        else one
        for one in state.evidence.readings
    )
    return replace(state, evidence=replace(state.evidence, readings=readings))


def used(state: GuardState, share: float) -> GuardState:
    return g.told(
        state,
        g.reading(names.pool("a"), names.UTILISATION, share),
        g.reading(names.pool("b"), names.UTILISATION, share),
    )


def budget(state: GuardState, usd: float) -> GuardState:
    return policy(state, budget_usd_per_hour=usd)


def not_ready(state: GuardState) -> GuardState:
    assert state.evidence is not None
    return replace(state, evidence=replace(state.evidence, ready=False))


def slo(state: GuardState, met: bool | None) -> GuardState:  # noqa: FBT001 - a fact's value
    assert state.evidence is not None
    return replace(state, evidence=replace(state.evidence, slo_met=met))


# What the guard table keeps for an undo too; everything else an undo is exempt from.
BINDS_UNDO = {
    "G1 scope",
    "G2 floor",
    "G2 never empty",
    "G5 restart all",
    "G10 ownership",
}


def cases() -> Iterator[Case]:
    yield from evidence_cases()
    yield from scope_cases()
    yield from bounds_cases()
    yield from counter_cases()
    yield from flight_cases()
    yield from capacity_cases()
    yield from people_cases()


def undone(case: Case) -> Case:
    """Return the case with the same levers written as an undo."""
    wanted = ("deny", case.rule) if case.rule in BINDS_UNDO else ("allow", "")
    return replace(
        case, name=f"{case.name}, as an undo", undo=True, wanted=wanted[0], rule=wanted[1]
    )


def paired(case: Case) -> Case:
    """Return the case with the evidence rules off."""
    state = policy(case.state, evidence_rules=False)
    return replace(case, name=f"{case.name}, paired run", state=state, wanted="allow", rule="")


def derived(case: Case) -> Iterator[Case]:
    """Yield the case and what follows from it by the table's exemptions."""
    yield case
    if case.undo or "|" in case.rule or not case.rule:
        return
    if case.rule not in {"G1 shape", "G5 single flight", "G11 kill switch"}:
        yield undone(case)
    if case.rule == "G6 senses" or (case.rule[:3] == "G0 " and case.rule != "G0 verified version"):
        yield paired(case)


def evidence_cases() -> Iterator[Case]:
    sight, replica = "G0 sight", "G0 replica evidence"
    yield Case("a tick just fresh", young(aged(S(), evidence_s=2.0)), UP2)
    yield Case("a stale tick", young(aged(S(), evidence_s=2.001)), UP2, "deny", sight)
    yield Case("a tick from the future", young(aged(S(), evidence_s=-0.1)), UP2, "deny", sight)
    yield Case("no tick yet, +1", replace(S(), evidence=None), UP1)
    yield Case("gateway silent", quality(S(), names.ERROR_RATIO, Quality.STALE), UP2, "deny", sight)
    yield Case("gateway silent, +1", quality(S(), names.ERROR_RATIO, Quality.STALE), UP1)
    yield Case("few requests are an answer", quality(S(), names.LATENCY_P95, Quality.FEW), UP2)
    yield Case("half silent", quiet(S(), "a-1", "a-2"), UP2, "deny", sight)
    yield Case("half silent, +1", quiet(S(), "a-1", "a-2"), UP1)
    yield Case("half silent, undo", quiet(S(), "a-1", "a-2"), BATCH, undo=True)
    yield Case("less than half silent", quiet(S(), "a-1"), UP2)
    yield Case("paired run", policy(replace(S(), evidence=None), evidence_rules=False), UP2)
    yield Case("restart of a healthy one", S(), RESTART, "deny", replica)
    yield Case("two failed probes", g.hung(S(), rounds=2.0), RESTART, "deny", replica)
    yield Case("three failed probes", g.hung(S()), RESTART)
    yield Case("three failed probes while learning", not_ready(g.hung(S())), RESTART)
    yield Case("process gone", g.with_slot(S(), "a-1", ReplicaState.GONE), RESTART)
    yield Case("slow and suspected", g.slow(S()), RESTART)
    yield Case("leaking and suspected", g.slow(S(), family=Family.MEMORY), RESTART)
    yield Case("slow while learning", not_ready(g.slow(S())), RESTART, "deny", replica)
    yield Case(
        "suspected without a reading",
        g.suspect(S(), Family.REPLICA, "replica:a-1"),
        RESTART,
        "deny",
        replica,
    )
    yield Case(
        "suspected of something else", g.slow(S(), family=Family.DRIFT), RESTART, "deny", replica
    )
    yield Case(
        "drained first, restarted next", g.with_slot(S(), "a-1", ReplicaState.DRAINING), RESTART
    )
    out = g.with_slot(S(), "a-1", ReplicaState.DRAINING)
    yield Case("drain of a drained one", out, DRAIN, "deny", replica)
    alone = g.with_slot(S(1, fallback=0), "a-1", ReplicaState.GONE)
    yield Case("the only one is gone", alone, RESTART)
    yield Case("another replica unseen", quiet(g.hung(S()), "a-2"), RESTART, "deny", replica)
    learning = "G0 baselines"
    yield Case("batch while learning", not_ready(S()), BATCH, "deny", learning)
    yield Case("+1 while learning", not_ready(S()), UP1)
    yield Case("shed with one silent", quiet(S(), "a-1"), SHED, "deny", "G0 no shrinking blind")
    yield Case("shed", S(), SHED)
    trouble = "G0 no shrinking in trouble"
    yield Case("scale-in", S(), DOWN)
    yield Case("scale-in, objectives missed", slo(S(), met=False), DOWN, "deny", trouble)
    yield Case("scale-in, objectives unknown", slo(S(), met=None), DOWN, "deny", trouble)
    where = "G0 where traffic goes"
    yield Case("shift to the older one", S(), SHIFT)
    yield Case("shift to the newer one", S(), TO_NEW)
    blind_b = g.without(S(), [(names.pool("b"), names.ERROR_RATIO)])
    blind_a = g.without(S(), [(names.pool("a"), names.LATENCY_P95)])
    yield Case("shift to an unknown pool", blind_b, SHIFT, "deny", where)
    yield Case("shift to the newer one, unknown", blind_a, TO_NEW, "deny", where)
    yield Case(
        "shift to a suspected pool", g.suspect(S(), Family.RELEASE, "pool:b"), SHIFT, "deny", where
    )
    yield from rollback_cases()


def rollback_cases() -> Iterator[Case]:
    bad, older = g.bad_release(S()), "G0 older version clean"
    yield Case("rollback", bad, ROLLBACK)
    blind = g.without(bad, [("pool:a", names.ERROR_RATIO), ("pool:a", names.LATENCY_P95)])
    yield Case("rollback of an unseen version", blind, ROLLBACK, "deny", "G0 rollback evidence")
    both = g.told(bad, g.reading("pool:b", names.ERROR_RATIO, 0.2, Verdict.ANOMALOUS))
    yield Case("rollback when both are ill", both, ROLLBACK, "deny", older)
    unknown = g.without(bad, [("pool:b", names.ERROR_RATIO)])
    yield Case("rollback, older one unknown", unknown, ROLLBACK, "ask", older)
    untested = replace(bad, verified=())
    yield Case(
        "rollback to an unverified version", untested, ROLLBACK, "ask", "G0 verified version"
    )


def scope_cases() -> Iterator[Case]:
    scope, shape = "G1 scope", "G1 shape"
    assert S().world is not None
    other = replace(S(), managed=replace(S().managed, name="other"))
    yield Case("another deployment's world", other, BATCH, "deny", scope)
    yield Case("a stranger's actuator", S(), replace(UP2, actuator=g.GATE), "deny", scope)
    yield Case("no levers", S(), replace(BATCH, change=()), "deny", shape)
    yield Case("levers of another kind", S(), replace(BATCH, change=UP2.change), "deny", shape)
    yield Case("up that goes down", S(), replace(DOWN, kind=ActionKind.SCALE_UP), "deny", shape)
    other_pool = replace(BATCH, subject="pool:z")
    yield Case("a pool that is not there", S(), other_pool, "deny", shape)
    ramp = replace(SHIFT, change=(("weight.b", 100.0),), ramp=(25.0, 50.0, 100.0))
    light = used(S(), 0.1)
    yield Case("a ramp", light, ramp)
    yield Case("a ramp that ends elsewhere", light, replace(ramp, ramp=(25.0, 50.0)), "deny", shape)
    yield Case(
        "restart everything",
        S(),
        replace(RESTART, kind=ActionKind.RESTART_ALL, subject="model"),
        "deny",
        "G5 restart all",
    )


def bounds_cases() -> Iterator[Case]:
    bounds, step, floor = "G2 bounds", "G2 step", "G2 floor"
    quarter = g.act(ActionKind.BATCH_UP, names.pool("a"), batch_max=17)
    yield Case("doubling", S(), BATCH)
    yield Case("more than doubling", S(), quarter, "deny", step)
    limits = tuple(replace(one, high=16.0) for one in g.POLICY.limits if one.lever == "batch_max")
    yield Case("at the bound", policy(S(), limits=limits), BATCH)
    low = tuple(replace(one, high=15.0) for one in limits)
    yield Case("beyond the bound", policy(S(), limits=low), BATCH, "deny", bounds)
    yield Case("no bounds declared", policy(S(), limits=()), BATCH, "deny", bounds)
    out = g.with_levers(policy(S(), limits=tuple(replace(one, high=4.0) for one in limits)))
    back = g.act(ActionKind.BATCH_DOWN, names.pool("a"), batch_max=6)
    yield Case("outside, but coming back", out, back)
    yield Case("+2 of one", policy(S(1), min_replicas=1), g.scale(3), "deny", step)
    slowed = g.slow(S(spares=0))
    yield Case("restart without a spare", slowed, RESTART)
    yield Case("at the floor", policy(slowed, min_replicas=3), RESTART, "deny", floor)
    yield Case("a spare takes over first", policy(g.slow(S()), min_replicas=3), RESTART)
    yield Case("failing counts for nothing", policy(g.hung(S(spares=0)), min_replicas=9), RESTART)
    lonely = g.slow(S(3, fallback=1, spares=0), "b-1")
    last = replace(g.restart("b-1"))
    yield Case("the pool's last one", lonely, last, "deny", f"{floor}|G14 replacement first")
    yield Case("one of two in a pool", g.slow(S(3, fallback=2, spares=0), "b-1"), g.restart("b-1"))
    one = g.hung(S(1))
    yield Case("drain of the only one", one, DRAIN, "deny", "G2 never empty")
    yield Case("restart of the only one", one, RESTART)
    two = policy(S(2, fallback=0), min_replicas=2)
    yield Case(
        "scale-in at the floor", replace(two, peak_replicas=0), g.scale(1, DOWN.kind), "deny", floor
    )
    # Undoing a scale-up takes replicas out, so the floor speaks for the undo too.
    grown = flying(
        g.with_levers(S(), replicas__a=3),
        g.scale(3),
        ActionState.ROLLING_BACK,
        pre=(("replicas.a", 2),),
    )
    yield Case("undo of a scale-up", grown, g.scale(3), undo=True)
    yield Case(
        "undo below the floor", policy(grown, min_replicas=3), g.scale(3), "deny", floor, undo=True
    )


def counter_cases() -> Iterator[Case]:
    cooldown, scale_in = "G3 cooldown", "G3 scale-in"
    yield Case("cooled down", replace(S(), past=past(20.0)), BATCH)
    yield Case("hot", replace(S(), past=past(19.9)), BATCH, "deny", cooldown)
    yield Case("an action from the future", replace(S(), past=past(-1.0)), BATCH, "deny", cooldown)
    for action, state in (
        (UP1, S()),
        (RESTART, g.hung(S())),
        (RESTART, g.with_slot(S(), "a-1", ReplicaState.GONE)),
        (RESTART, g.with_slot(S(), "a-1", ReplicaState.DRAINING)),
        (DRAIN, g.hung(S())),
        (ROLLBACK, g.bad_release(S())),
    ):
        name = f"{action.kind} right after another action"
        yield Case(name, replace(state, past=past(0.1, times=6)), action)
        crowded = replace(state.fleet, actions_last_hour=20)
        yield Case(f"{action.kind} in a busy fleet", replace(state, fleet=crowded), action)
    yield Case("undo right after", replace(S(), past=past(0.1, times=20)), BATCH, undo=True)
    yield Case(
        "two failing are no exemption",
        replace(g.hung(g.hung(S(5)), "a-2"), past=past(0.1)),
        RESTART,
        "deny",
        cooldown,
    )
    older = replace(S(), verified=((g.STABLE, "v0"), (g.STABLE, g.OLD)))
    assert older.world is not None
    ancient = replace(older.world.releases[0], version="v0")
    older = replace(older, world=replace(older.world, releases=(ancient, *older.world.releases)))
    yield Case(
        "rollback past the last verified",
        replace(g.bad_release(older), past=past(0.1)),
        g.rollback("v0"),
        "deny",
        cooldown,
    )
    twice = past(30.0, effect=Effect.NO_CHANGE, action=BATCH)
    yield Case(
        "an ineffective repeat waits twice", replace(S(), past=twice), BATCH, "deny", cooldown
    )
    longer = past(40.0, effect=Effect.NO_CHANGE, action=BATCH)
    yield Case("and then may", replace(S(), past=longer), BATCH)
    yield Case("scale-in too early", replace(S(), past=past(39.0)), DOWN, "deny", scale_in)
    yield Case("scale-in in time", replace(S(), past=past(40.0)), DOWN)
    yield Case("half of the peak", replace(S(), peak_replicas=4), DOWN)
    yield Case("below half of the peak", replace(S(), peak_replicas=5), DOWN, "deny", "G3 peak")
    yield Case("two tries", replace(S(), tries=2), BATCH)
    yield Case("three tries", replace(S(), tries=3), BATCH, "deny", "G3 tries")
    yield Case("three tries, +1", replace(S(), tries=3), UP1, "deny", "G3 tries")
    yield Case("three tries, undo", replace(S(), tries=3), BATCH, undo=True)
    yield Case("five in the hour", replace(S(), past=past(60.0, times=5)), BATCH)
    yield Case("six in the hour", replace(S(), past=past(60.0, times=6)), BATCH, "deny", "G4 rate")
    hour = HOUR / SECOND
    yield Case("six before the hour", replace(S(), past=past(hour, times=6)), BATCH)
    busy = fleet(S(), actions_last_hour=19)
    yield Case("nineteen in the fleet", busy, BATCH)
    yield Case(
        "twenty in the fleet", replace(busy, past=past(60.0)), BATCH, "deny", "G4 fleet rate"
    )


def flight_cases() -> Iterator[Case]:
    single = "G5 single flight"
    yield Case("one in flight", flying(S(), SHED, ActionState.APPLIED), BATCH, "deny", single)
    yield Case("one in flight, +1", flying(S(), SHED, ActionState.VERIFYING), UP1, "deny", single)
    yield Case("a question flies not", flying(S(), SHED, ActionState.AWAITING_APPROVAL), BATCH)
    yield Case("the finished fly not", flying(S(), SHED, ActionState.SUCCEEDED), BATCH)
    yield Case("itself, before its write", flying(S(), BATCH, ActionState.INTENT), BATCH)
    yield Case(
        "itself, after its write", flying(S(), BATCH, ActionState.APPLIED), BATCH, "deny", single
    )
    mine = replace(flying(S(), BATCH, ActionState.INTENT), past=past(0.1))
    assert mine.in_flight is not None
    own = replace(mine, in_flight=replace(mine.in_flight, id="d-0000"))
    yield Case("its own first stage is no cooldown", own, BATCH)
    yield Case("undo of itself", flying(S(), BATCH, ActionState.ROLLING_BACK), BATCH, undo=True)
    yield Case(
        "undo beside another",
        flying(S(), SHED, ActionState.APPLIED),
        BATCH,
        "deny",
        single,
        undo=True,
    )
    assert S().world is not None
    moving = replace(S(), world=replace(g.world(), changing=True))
    yield Case("target still changing", moving, BATCH, "deny", single)
    yield Case("undo while changing", moving, BATCH, undo=True)
    ten = stamped(fleet(S(), targets_changing=9), token="1")
    yield Case("the tenth of a hundred", ten, BATCH)
    eleven = stamped(fleet(S(), targets_changing=10), token="1")
    yield Case("the eleventh", eleven, BATCH, "deny", "G5 targets")
    weak = fleet(S(), targets_changing=5)
    yield Case("half without compare-and-set", weak, SHED, "deny", "G5 targets")
    full = fleet(g.hung(S()), replicas_changing=99)
    yield Case("the hundredth replica of four hundred", full, RESTART)
    over = fleet(g.hung(S()), replicas_changing=100)
    yield Case("one more", over, RESTART, "deny", "G5 replicas")
    crowd = fleet(S(), replicas_changing=101)
    yield Case("which disturbs none", crowd, BATCH)
    claims = fleet(g.hung(S()), replicas_changing=98)
    yield Case(
        "a claim of more counts",
        claims,
        replace(RESTART, replicas_touched=3),
        "deny",
        "G5 replicas",
    )
    correlated = "G6 correlated failure"
    five = FleetView(targets=5, replicas=20, anomalous=3)
    yield Case("three of five", replace(S(), fleet=five), UP1, "deny", correlated)
    yield Case("two of five", replace(S(), fleet=replace(five, anomalous=2)), UP1)
    yield Case("three of four", replace(S(), fleet=replace(five, targets=4)), UP1)
    yield Case("a fifth", fleet(S(), targets=20, anomalous=4), UP1)
    yield Case("more than a fifth", fleet(S(), targets=20, anomalous=5), UP1, "deny", correlated)
    yield Case("blind senses", fleet(S(), sensors_ok=False), UP1, "deny", "G6 senses")
    yield Case("blind senses, undo", fleet(S(), sensors_ok=False), BATCH, undo=True)


def capacity_cases() -> Iterator[Case]:
    capacity, first = "G7 capacity", "G14 replacement first"
    yield Case("scale-in to 0.8", used(S(4), 0.6), g.scale(3, DOWN.kind))
    yield Case("scale-in beyond", used(S(4), 0.601), g.scale(3, DOWN.kind), "deny", capacity)
    blind = g.without(S(), [(names.pool("a"), names.UTILISATION)])
    yield Case("scale-in, load unknown", blind, DOWN, "deny", capacity)
    yield Case("shift beyond", used(S(), 0.9), SHIFT)
    heavy = replace(SHIFT, change=(("weight.b", 50.0),))
    yield Case("a shift it cannot carry", used(S(), 0.9), heavy, "deny", capacity)
    yield Case("drain of a failing one needs no forecast", g.hung(blind), DRAIN)
    yield Case("drain of a slow one", used(g.slow(S()), 0.5), DRAIN)
    yield Case("drain under load", used(g.slow(S()), 0.6), DRAIN, "deny", f"{capacity}|{first}")
    yield Case(
        "restart under load, no spare", used(g.slow(S(spares=0)), 0.6), RESTART, "deny", first
    )
    even = used(g.slow(S(4, spares=0)), 0.6)
    yield Case("restart to 0.8, no spare", even, RESTART)
    yield Case("restart under load, a spare", used(g.slow(S()), 0.6), RESTART)
    yield Case("smaller replicas", used(S(), 0.6), RESIZE_DOWN)
    yield Case("too small replicas", used(S(), 0.601), RESIZE_DOWN, "deny", capacity)
    yield Case("within budget", budget(S(), 5.0), UP1)
    poor = budget(S(), 4.9)
    yield Case("beyond budget", poor, UP1, "deny", "G8 budget")
    yield Case("beyond budget in trouble", slo(poor, met=False), UP1, "ask", "G8 budget in trouble")
    yield Case("beyond budget, saving", budget(S(), 1.0), DOWN)
    yield Case("beyond budget, free", budget(S(), 1.0), BATCH)
    claimed = replace(BATCH, cost_usd_per_hour=2.0)
    yield Case("a claimed cost counts", budget(S(), 5.0), claimed, "deny", "G8 budget")


def people_cases() -> Iterator[Case]:
    freeze, kill = "G9 freeze", "G11 kill switch"
    yield Case("frozen", policy(S(), frozen=True), UP1, "deny", freeze)
    yield Case("frozen, rollback", policy(g.bad_release(S()), frozen=True), ROLLBACK)
    yield Case("frozen, undo", policy(S(), frozen=True), BATCH, undo=True)
    foreign, owner = replace(S(), foreign_until=TimeNs(g.NOW + 1)), "G10 ownership"
    yield Case("a foreign writer", foreign, BATCH, "deny", owner)
    yield Case("a foreign writer, undo", foreign, BATCH, "deny", owner, undo=True)
    yield Case("a foreign writer long ago", replace(S(), foreign_until=g.NOW), BATCH)
    assert S().world is not None
    unread = replace(S(), world=replace(g.world(), stamps=()))
    yield Case("a target that was not read", unread, BATCH, "deny", owner)
    ours = flying(S(), BATCH, ActionState.ROLLING_BACK, intent=True)
    yield Case(
        "somebody wrote after us",
        stamped(ours, intent="d-0001.0.0"),
        BATCH,
        "deny",
        owner,
        undo=True,
    )
    yield Case("nobody wrote after us", stamped(ours, intent="d-9999.0.0"), BATCH, undo=True)
    yield Case("a newer controller", stamped(ours, epoch=2), BATCH, "deny", owner, undo=True)
    for level in (KillLevel.NO_NEW, KillLevel.NOTHING):
        yield Case(f"kill {level}", replace(S(), kill=level), UP1, "deny", kill)
    yield Case("kill, undo", replace(S(), kill=KillLevel.NO_NEW), BATCH, undo=True)
    yield Case(
        "kill all, undo", replace(S(), kill=KillLevel.NOTHING), BATCH, "deny", kill, undo=True
    )
    yield Case("shadow", mode(S(), Mode.SHADOW), BATCH, "deny", "G12 shadow")
    yield Case("shadow, undo", mode(S(), Mode.SHADOW), BATCH, undo=True)
    yield Case("approve", mode(S(), Mode.APPROVE), BATCH, "ask", "G12 autonomy")
    yield Case("not granted", policy(S(), auto_kinds=()), BATCH, "ask", "G12 autonomy")
    yield Case("granted by nobody", policy(S(), granted_by=" "), BATCH, "ask", "G12 autonomy")
    approve = mode(S(), Mode.APPROVE)
    yes = flying(approve, BATCH, ActionState.INTENT, approved_by="ana", age_s=60.0)
    yield Case("approved", yes, BATCH)
    late = flying(approve, BATCH, ActionState.INTENT, approved_by="ana", age_s=60.1)
    yield Case("approved long ago", late, BATCH, "deny", "G13 freshness")
    ahead = flying(S(), BATCH, ActionState.INTENT, age_s=-1.0)
    yield Case("proposed in the future", ahead, BATCH, "deny", "G13 freshness")
    yield Case("world just fresh", aged(S(), world_s=2.0), BATCH)
    yield Case("world stale", aged(S(), world_s=2.001), BATCH, "deny", "G13 freshness")
    yield Case("world stale, undo", aged(S(), world_s=9.0), BATCH, undo=True)
    yield Case("world from the future", aged(S(), world_s=-0.1), BATCH, "deny", "G13 freshness")
    start = replace(S(), observe_until=TimeNs(g.NOW + 1))
    yield Case("observing", start, UP1, "deny", "G13 observing")
    yield Case("observed long enough", replace(S(), observe_until=g.NOW), UP1)
    gone = replace(BATCH, undo=UndoKind.NONE)
    yield Case("cannot be taken back", S(), gone, "ask", "G14 irreversible")
    yield Case("retraining claims to be exact", S(), RETRAIN, "ask", "G14 irreversible")


CASES = tuple(more for case in cases() for more in derived(case))


def verdict(answer_: GuardAnswer) -> tuple[str, tuple[str, ...]]:
    match answer_:
        case Allow():
            return "allow", ()
        case Deny(reasons=reasons):
            return "deny", tuple(reason.partition(":")[0] for reason in reasons)
        case NeedApproval(reasons=reasons):
            return "ask", tuple(reason.partition(":")[0] for reason in reasons)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_guard_speaks_at_its_boundary_and_only_there(case: Case) -> None:
    found, rules = verdict(guard(case.action, case.state, g.NOW, undo=case.undo))
    assert (found, "|".join(rules)) == (case.wanted, case.rule)


# Facts that the evidence can only produce together; the rules are asked about each alone.
SPOILT: tuple[tuple[dict[str, int], str], ...] = (
    ({"evidence_age_ms": -1}, "G0 sight"),
    ({"evidence_age_ms": 2001}, "G0 sight"),
    ({"silent": 0, "replicas": 0}, ""),
)


@cache
def records() -> tuple[tuple[dict[str, Value], str, str], ...]:
    """Return the facts of every case with what is wanted of the rules, worked out once."""
    found = [
        (facts(case.action, look(case.state, g.NOW), undo=case.undo), case.wanted, case.rule)
        for case in CASES
    ]
    base = facts(UP2, look(S(), g.NOW))
    found += [({**base, **bad}, "deny" if rule else "allow", rule) for bad, rule in SPOILT]
    return tuple(found)


def caught(rules: tuple[Rule, ...]) -> bool:
    """Say whether any case gets another answer under these rules."""
    kernel = compile_rules(rules)
    for record_, wanted, rule in records():
        denials, questions = kernel.judge(record_)
        found = "deny" if denials else "ask" if questions and not record_["approved"] else "allow"
        said = denials or (questions if found == "ask" else ())
        if (found, "|".join(reason.partition(":")[0] for reason in said)) != (wanted, rule):
            return True
    return False


def label(rule: Rule) -> str:
    return f"{rule.id} {rule.name}"


def test_the_cases_pass_the_shipped_rules() -> None:
    assert not caught(RULES)


@pytest.mark.parametrize("index", range(len(RULES)), ids=lambda i: label(RULES[i]))
def test_dropping_a_rule_is_noticed(index: int) -> None:
    assert caught((*RULES[:index], *RULES[index + 1 :]))


# Levers that say where a thing is have no step, and one unit is always a step: nothing to lift.
VACUOUS = {
    ("G2 step", "rollback to the last verified version"),
    ("G2 step", "one replica proven failing"),
    ("G2 step", "one more replica"),
}


@pytest.mark.parametrize("index", range(len(RULES)), ids=lambda i: label(RULES[i]))
def test_an_exemption_less_is_noticed(index: int) -> None:
    rule = RULES[index]
    for name in rule.exempt:
        fewer = replace(rule, exempt=tuple(one for one in rule.exempt if one != name))
        if (label(rule), name) not in VACUOUS:
            assert caught((*RULES[:index], fewer, *RULES[index + 1 :])), f"{label(rule)}: {name}"


def test_exemptions_lift_cooldown_rate_and_step_and_nothing_that_must_stand() -> None:
    four = {label(rule) for rule in RULES if set(rule.exempt) == set(EXEMPTIONS)}
    assert four == {"G2 step", "G3 cooldown", "G4 rate", "G4 fleet rate"}
    stand = {"G5 single flight", "G2 floor", "G2 never empty", "G10 ownership", "G11 kill switch"}
    lifted = {label(rule): set(rule.exempt) for rule in RULES}
    assert all(not lifted[name] for name in stand)
    about_the_subject = {name for name in lifted if name[:3] == "G0 "} - {
        "G0 sight",
        "G0 baselines",
    }
    assert all(lifted[name] <= {"undo"} for name in about_the_subject)


def test_what_an_action_claims_about_itself_lifts_nothing() -> None:
    hot = replace(S(), past=past(0.1))
    for action in (BATCH, SHED, UP2, replace(RESTART, kind=ActionKind.RESTART_REPLICA)):
        claimed = replace(action, exempt=True)
        assert verdict(guard(claimed, hot, g.NOW)) == verdict(guard(action, hot, g.NOW))
        assert isinstance(guard(claimed, hot, g.NOW), Deny)


FLIPS = {
    "<": ("<=", ">"),
    "<=": ("<", ">"),
    ">": (">=", "<"),
    ">=": (">", "<"),
    "==": ("!=",),
    "!=": ("==",),
}


def mutants(expr: Expr) -> Iterator[Expr]:
    """Yield trees with one comparison flipped, one negation dropped or one term dropped."""
    match expr:
        case Compare(op, left, right):
            for flipped in FLIPS[op]:
                yield Compare(flipped, left, right)  # type: ignore[arg-type]
        case And(terms) | Or(terms):
            build = type(expr)
            yield (Or if isinstance(expr, And) else And)(terms)
            for index, term in enumerate(terms):
                if len(terms) > 1:
                    yield build((*terms[:index], *terms[index + 1 :]))
                for changed in mutants(term):
                    yield build((*terms[:index], changed, *terms[index + 1 :]))
        case Not(term):
            yield term
        case Member(term, of) if len(of) > 1:
            for index in range(len(of)):
                yield Member(term, (*of[:index], *of[index + 1 :]))
        case Scale(factor, term):
            yield Scale(factor + 1, term)
        case _:
            return


def test_no_mutant_of_a_rule_survives() -> None:
    survivors, total = [], 0
    for index, rule in enumerate(RULES):
        for changed in mutants(rule.require):
            total += 1
            if not caught((*RULES[:index], replace(rule, require=changed), *RULES[index + 1 :])):
                survivors.append(f"{label(rule)}: {changed}")
    print(f"{total - len(survivors)} of {total} mutants caught; survivors: {survivors}")
    assert not survivors
