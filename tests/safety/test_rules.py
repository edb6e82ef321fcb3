"""G1 to G15 at their boundaries; and that none of them can go unnoticed."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from homeostat.base import names
from homeostat.base.actions import Action, ActionKind, UndoKind
from homeostat.base.decisions import Effect
from homeostat.base.events import FleetView
from homeostat.base.guard import GuardState
from homeostat.base.intent import ActionState
from homeostat.base.policy import KillLevel, Mode
from homeostat.base.units import HOUR, SECOND, TimeNs
from homeostat.base.world import ReplicaState
from homeostat.safety.guard import guard
from homeostat.safety.rule import Rule
from homeostat.safety.rules import RULES
from homeostat.safety.tree import Facts
from homeostat.testing import guard_scene as g
from homeostat.testing.guard_budgets import budget_cases
from homeostat.testing.guard_cases import (
    Bench,
    Case,
    aged,
    budget,
    derived,
    fleet,
    flying,
    known,
    label,
    mode,
    mutants,
    past,
    policy,
    slo,
    stamped,
    used,
    verdict,
)
from homeostat.testing.guard_first import first_cases
from homeostat.testing.guard_late import late_cases
from homeostat.testing.guard_lately import RATE_MILLI, replaced
from homeostat.testing.guard_rehearsals import rehearsal_cases
from homeostat.testing.guard_stretches import room_cases, stretch_cases

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


def cases() -> Iterator[Case]:
    yield from scope_cases()
    yield from bounds_cases()
    yield from setting_cases()
    yield from first_cases()
    yield from counter_cases()
    yield from flight_cases()
    yield from capacity_cases()
    yield from people_cases()
    yield from final_cases()
    yield from rehearsal_cases()
    yield from budget_cases()
    yield from stretch_cases()
    yield from room_cases()
    yield from late_cases()


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
    first = replace(ramp, change=(("weight.b", 25.0),))
    yield Case("a ramp's first rung", light, first)
    climbing = flying(light, ramp, ActionState.INTENT)
    yield Case("a ramp's rung before its write", climbing, first)
    yield Case(
        "beside the ramp",
        climbing,
        replace(ramp, change=(("weight.b", 30.0),)),
        "deny",
        "G1 shape|G5 single flight",
    )
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
    # Nobody in the pool serves: whichever replica goes, users lose none.
    down = grown
    for name in ("a-1", "a-2", "a-3"):
        down = g.with_slot(down, name, ReplicaState.STARTING)
    yield Case("undo while nobody serves", policy(down, min_replicas=9), g.scale(3), undo=True)
    one_up = g.with_slot(down, "a-2", ReplicaState.READY)
    yield Case("undo while one serves", one_up, g.scale(3), "deny", floor, undo=True)
    world, _ = known(down)
    hidden = replace(down, world=replace(world, replicas=world.replicas[1:]))
    yield Case("undo with a replica unseen", hidden, g.scale(3), "deny", floor, undo=True)


def setting_cases() -> Iterator[Case]:
    quarter, step = g.act(ActionKind.BATCH_UP, names.pool("a"), batch_max=17), "G2 step"
    yield Case("more than doubling, back to what served", replaced(S(), 17), quarter)
    twice = replaced(S(), 17, rate_milli=RATE_MILLI // 2)
    yield Case("twice what it served", twice, quarter)
    more = replaced(S(), 17, rate_milli=RATE_MILLI // 2 - 1)
    yield Case("more than twice what it served", more, quarter, "deny", step)


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
    yield Case("another's first stage is", mine, BATCH, "deny", "G3 cooldown")
    yield Case("undo of itself", flying(S(), BATCH, ActionState.ROLLING_BACK), BATCH, undo=True)
    yield Case(
        "undo beside another",
        flying(S(), SHED, ActionState.APPLIED),
        BATCH,
        "deny",
        single,
        undo=True,
    )
    yield from fleet_cases()


def fleet_cases() -> Iterator[Case]:
    single = "G5 single flight"
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
    half = stamped(fleet(g.hung(S()), replicas_changing=49), token=None)
    yield Case("the fiftieth without compare-and-set", half, RESTART)
    worse = stamped(fleet(g.hung(S()), replicas_changing=50), token=None)
    yield Case("half the replicas without it", worse, RESTART, "deny", "G5 replicas")
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
    spare = "G7 one to spare"
    yield Case("scale-in, 0.8 with one lost", used(S(4), 0.4), g.scale(3, DOWN.kind))
    yield Case(
        "scale-in, beyond with one lost", used(S(4), 0.401), g.scale(3, DOWN.kind), "deny", spare
    )
    yield Case("scale-in, none to spare", used(S(4), 0.6), g.scale(3, DOWN.kind), "deny", spare)
    both = f"{capacity}|{spare}"
    yield Case("scale-in beyond", used(S(4), 0.601), g.scale(3, DOWN.kind), "deny", both)
    blind = g.without(S(), [(names.pool("a"), names.UTILISATION)])
    yield Case("scale-in, load unknown", blind, DOWN, "deny", both)
    peak = [replace(S(4), loads=g.watched(240.0, most)) for most in (1600, 1601)]
    yield Case("scale-in, the peak with one lost", peak[0], g.scale(3, DOWN.kind))
    yield Case("scale-in, beyond it", peak[1], g.scale(3, DOWN.kind), "deny", spare)
    yield Case("scale-in, watched long enough", replace(S(), loads=g.watched(240.0)), DOWN)
    brief = replace(S(), loads=g.watched(239.9))
    yield Case("scale-in, watched too briefly", brief, DOWN, "deny", "G7 watched")
    yield Case("scale-in, never watched", replace(S(), loads=()), DOWN, "deny", "G7 watched")
    other = replace(S(), loads=g.watched(240.0)[1:])
    yield Case("scale-in, another pool watched", other, DOWN, "deny", "G7 watched")
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
    yield from batch_cases()
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


def batch_cases() -> Iterator[Case]:
    room = "G7 room for the batch"
    device = (names.replica("a-2"), names.DEVICE_TIME)
    # 250 ms are promised: two batches, twice as long each.
    yield Case("a larger batch that fits", g.told(S(), g.reading(*device, 62.5)), BATCH)
    late = g.told(S(), g.reading(*device, 62.6))
    yield Case("one slow replica leaves no room", late, BATCH, "deny", room)
    little = replace(BATCH, change=(("batch_max", 9),))
    yield Case("unless the step is small", late, little)
    yield Case("no room, but it served with that", replaced(late, 16), BATCH)
    unseen = g.without(S(), [device])
    yield Case("a replica's batches unseen", unseen, BATCH, "deny", room)
    yield Case("unseen, in a paired run", policy(unseen, evidence_rules=False), BATCH)
    wait = replace(BATCH, change=(("batch_wait_ms", 10.0),))
    # Two batches of 122 ms as they are, and 5 ms more for them to fill.
    yield Case("a longer wait", g.told(S(), g.reading(*device, 122.5)), wait)
    slow = g.told(S(), g.reading(*device, 122.6))
    yield Case("a longer wait that does not fit", slow, wait, "deny", room)
    idle = g.with_levers(g.without(S(), [("replica:b-1", names.DEVICE_TIME)]), weight__b=0.0)
    yield Case("a pool without traffic does not count", idle, BATCH)
    fresh = g.with_slot(unseen, "a-2", ReplicaState.STARTING)
    yield Case("nor does one that is starting", fresh, BATCH)
    yield from memory_cases()
    yield from smaller_cases()


def memory_cases() -> Iterator[Case]:
    """Servers of tokens: the batch doubles, and so do the sequences in their memory."""
    memory, mine = "G7 memory for the batch", ("a-1", "a-2", "a-3", "b-1")
    half = g.told(S(), *(g.reading(names.replica(one), names.KV_USAGE, 0.5) for one in mine))
    yield Case("sequences that will just fit", half, BATCH)
    more = g.told(half, g.reading("replica:a-2", names.KV_USAGE, 0.501))
    yield Case("sequences beyond one replica's memory", more, BATCH, "ask", memory)
    yield Case("unless the step is small", more, replace(BATCH, change=(("batch_max", 9),)))
    yield Case("taken back, whatever fits", more, BATCH, undo=True)
    yield Case("beyond memory, it served with that", replaced(more, 16), BATCH, "ask", memory)
    yield Case("beyond memory, in a paired run", policy(more, evidence_rules=False), BATCH)
    unseen = g.without(half, [("replica:a-2", names.KV_USAGE)])
    yield Case("one replica's memory unknown", unseen, BATCH, "ask", memory)
    for signal in (names.PREEMPTION_RATIO, names.PROMPT_TOKENS, names.GENERATED_TOKENS):
        tokens = g.told(S(), g.reading("replica:a-1", signal, 1.0))
        yield Case(f"tokens by {signal}, memory unknown", tokens, BATCH, "ask", memory)


def smaller_cases() -> Iterator[Case]:
    smaller = "G7 smaller batch"
    less = g.act(ActionKind.BATCH_DOWN, names.pool("a"), batch_max=4)
    yield Case("half the batch, with half to spare", used(S(), 0.4), less)
    yield Case("half the batch of a busy pool", used(S(), 0.401), less, "ask", smaller)
    blind = g.without(S(), [(names.pool("a"), names.UTILISATION)])
    yield Case("how busy nobody knows", blind, less, "ask", smaller)
    busy = used(S(), 0.9)
    yield Case("busy, taken back", busy, less, undo=True)
    idle = g.with_levers(g.without(used(S(), 0.4), [("pool:b", names.UTILISATION)]), weight__b=0.0)
    yield Case("half the batch, another pool idle and unseen", idle, less)
    sooner = replace(less, change=(("batch_wait_ms", 4.0),))
    yield Case("a shorter wait alone", used(S(), 0.8), sooner)
    back = [(names.replica(f"a-{n}"), names.PREEMPTION_RATIO) for n in range(1, 4)]
    thrashing = g.told(busy, *(g.reading(*one, 1.01) for one in back))
    yield Case("busy with work done twice", thrashing, less)
    even = g.told(busy, *(g.reading(*one, 1.0) for one in back))
    yield Case("busy, and as much gained as lost", even, less, "ask", smaller)
    half = g.told(busy, *(g.reading(*one, 1.01) for one in back[:2]))
    yield Case("busy, one replica's work unseen", half, less, "ask", smaller)


def agreed(action: Action, *who: str) -> GuardState:
    """Return a state in which these people said yes to an action that is about to be written."""
    state = flying(S(), action, ActionState.INTENT, approved_by="ann")
    assert state.in_flight is not None
    return replace(state, in_flight=replace(state.in_flight, approvers=who))


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


def final_cases() -> Iterator[Case]:
    gone = replace(BATCH, undo=UndoKind.NONE)
    yield Case("cannot be taken back", S(), gone, "ask", "G14 irreversible")
    one = agreed(gone, "ann")
    yield Case("irreversible, one person said yes", one, gone, "deny", "G14 four eyes")
    twice = agreed(gone, "ann", "ann")
    yield Case("irreversible, one person said yes twice", twice, gone, "deny", "G14 four eyes")
    yield Case("irreversible, two people said yes", agreed(gone, "ann", "bob"), gone)
    yield Case("irreversible, nobody knows who", agreed(gone), gone, "deny", "G14 four eyes")
    yield Case("retraining claims to be exact", S(), RETRAIN, "ask", "G14 irreversible")


CASES = tuple(more for case in cases() for more in derived(case))
SPOILT: tuple[tuple[Action, Facts, str], ...] = ()
MINE = [rule for rule in RULES if rule.id != "G0"]
# Levers that say where a thing is have no step, and one unit is always a step: nothing to lift.
VACUOUS = {
    ("G2 step", "rollback to the last verified version"),
    ("G2 step", "one replica proven failing"),
    ("G2 step", "one more replica"),
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_guard_speaks_at_its_boundary_and_only_there(case: Case) -> None:
    answer = guard(case.action, case.state, g.NOW, undo=case.undo)
    assert verdict(answer) == (case.wanted, case.rule)


BENCH = Bench.of(CASES, SPOILT)


def test_the_cases_pass_the_shipped_rules() -> None:
    assert not BENCH.catches(RULES)


@pytest.mark.parametrize("rule", MINE, ids=label)
def test_dropping_a_rule_is_noticed(rule: Rule) -> None:
    assert BENCH.catches_swap(RULES, rule)


@pytest.mark.parametrize("rule", MINE, ids=label)
def test_an_exemption_less_is_noticed(rule: Rule) -> None:
    for name in rule.exempt:
        fewer = replace(rule, exempt=tuple(one for one in rule.exempt if one != name))
        if (label(rule), name) not in VACUOUS:
            assert BENCH.catches_swap(RULES, rule, fewer), f"{label(rule)}: {name}"


@pytest.mark.parametrize("rule", MINE, ids=label)
def test_no_mutant_of_a_rule_survives(rule: Rule) -> None:
    survivors = [
        changed
        for changed in mutants(rule.require)
        if not BENCH.catches_swap(RULES, rule, replace(rule, require=changed))
    ]
    assert not survivors
