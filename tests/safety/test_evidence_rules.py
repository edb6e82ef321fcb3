"""G0, the evidence lattice, at its boundaries; and that no rule of it can go unnoticed."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from homeostat.base import names
from homeostat.base.actions import Action, ActionKind, UndoKind
from homeostat.base.evidence import Family, Quality, Verdict
from homeostat.base.guard import GuardState
from homeostat.base.world import ReplicaState
from homeostat.safety.guard import guard
from homeostat.safety.rule import Rule
from homeostat.safety.rules import RULES
from homeostat.safety.tree import Facts
from homeostat.testing import guard_scene as g
from homeostat.testing.guard_cases import (
    Bench,
    Case,
    aged,
    derived,
    label,
    mutants,
    not_ready,
    policy,
    quality,
    quiet,
    slo,
    verdict,
    young,
)
from homeostat.testing.guard_lately import replaced, slower

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
    yield Case("its device fills", g.slow(S(), family=Family.DEVICE_MEMORY), RESTART)
    full = g.suspect(S(), Family.DEVICE_MEMORY, "replica:a-1")
    yield Case("a device that is only full", full, RESTART, "deny", replica)
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
    yield Case("slower than each of its peers, long enough", slower(S()), RESTART)
    late = slower(S(), seconds=3.999)
    yield Case("slower, not for long enough", late, RESTART, "deny", replica)
    usual = slower(S(), odd=False)
    yield Case("slower, but as it ever was", usual, RESTART, "deny", replica)
    yield Case("slower while learning", not_ready(slower(S())), RESTART, "deny", replica)
    yield Case("another replica unseen", quiet(g.hung(S()), "a-2"), RESTART, "deny", replica)
    yield from foreseen_cases()
    yield from other_cases()


def foreseen_cases() -> Iterator[Case]:
    foreseen = "G0 foreseen"
    ahead = g.suspect(S(), Family.LOAD, names.pool("a"))
    yield Case("load foreseen, +1", ahead, UP1)
    yield Case("load foreseen, +2", ahead, UP2, "deny", foreseen)
    yield Case("load foreseen, a larger batch", ahead, BATCH, "deny", foreseen)
    yield Case("load foreseen, shedding", ahead, SHED, "deny", foreseen)
    yield Case("load foreseen, a shift", ahead, SHIFT, "deny", foreseen)
    yield Case("load foreseen, a larger batch taken back", ahead, BATCH, undo=True)
    yield Case("load foreseen, rollback to what served", ahead, ROLLBACK)
    yield Case("load foreseen, a replica proven failing", g.hung(ahead), RESTART)
    yield Case("load foreseen, objectives missed", slo(ahead, met=False), BATCH)
    yield Case("load foreseen, objectives unknown", slo(ahead, met=None), BATCH, "deny", foreseen)
    yield Case("load felt", g.suspect(S(), Family.LOAD, names.GATEWAY), BATCH)
    more = g.suspect(ahead, Family.BATCHING, names.pool("a"))
    yield Case("load foreseen beside a suspicion", more, BATCH)
    yield Case("load foreseen, paired run", policy(ahead, evidence_rules=False), UP2)
    front = g.suspect(S(), Family.FRONTEND, names.MODEL)
    yield Case("front ends foreseen, +1", front, UP1)
    yield Case("front ends foreseen, +2", front, UP2, "deny", foreseen)
    yield Case("front ends foreseen, a larger batch", front, BATCH, "deny", foreseen)
    yield Case("front ends foreseen, shedding", front, SHED, "deny", foreseen)
    yield Case("front ends foreseen, a shift", front, SHIFT, "deny", foreseen)
    both = g.suspect(ahead, Family.FRONTEND, names.MODEL)
    yield Case("front ends and load foreseen, +1", both, UP1)
    yield Case("front ends and load foreseen, a shift", both, SHIFT, "deny", foreseen)


def other_cases() -> Iterator[Case]:
    learning = "G0 baselines"
    yield Case("batch while learning", not_ready(S()), BATCH, "deny", learning)
    yield Case("+1 while learning", not_ready(S()), UP1)
    yield Case("shed with one silent", quiet(S(), "a-1"), SHED, "deny", "G0 no shrinking blind")
    yield from turning_cases()
    trouble = "G0 no shrinking in trouble"
    yield Case("scale-in", S(), DOWN)
    yield Case("scale-in, objectives missed", slo(S(), met=False), DOWN, "deny", trouble)
    yield Case("scale-in, objectives unknown", slo(S(), met=None), DOWN, "deny", trouble)
    drift = g.suspect(S(), Family.DRIFT, names.MODEL)
    yield Case("scale-in, something suspected", drift, DOWN, "deny", trouble)
    memory = "G0 no shrinking while memory fills"
    yield Case("scale-in, a leak in sight", g.filling(S()), DOWN, "deny", memory)
    yield Case("scale-in, a leak in another pool", g.filling(S(), "b-1"), DOWN)
    unseen = g.without(S(), [("replica:a-2", names.MEMORY_SHARE)])
    yield Case("scale-in, a replica's memory unseen", unseen, DOWN, "deny", memory)
    five = g.without(S(5), [("replica:a-5", names.MEMORY_SHARE)])
    gone = g.with_slot(five, "a-5", ReplicaState.GONE)
    yield Case("scale-in, one gone says nothing", gone, g.scale(4, DOWN.kind))
    yield from batch_cases()
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
    yield from standby_cases()
    yield from rollback_cases()


def standby_cases() -> Iterator[Case]:
    where, standby = "G0 where traffic goes", "G0 standby"
    blind = [(names.pool("b"), names.ERROR_RATIO), (names.pool("b"), names.LATENCY_P95)]
    idle = g.without(g.with_levers(S(), weight__b=0.0), blind)
    yield Case("shift to an idle pool", idle, SHIFT, "ask", standby)
    yield Case("shift to an idle pool taken back", idle, SHIFT, undo=True)
    yield Case("shift to an idle pool, paired", policy(idle, evidence_rules=False), SHIFT)
    some = g.without(S(), blind)
    yield Case("shift to a pool with traffic that says nothing", some, SHIFT, "deny", where)
    ill = g.suspect(idle, Family.RELEASE, "pool:b")
    yield Case("shift to an idle pool that is suspected", ill, SHIFT, "deny", where)
    odd = g.told(idle, g.reading("replica:b-1", names.MEMORY_SHARE, 0.9, Verdict.ANOMALOUS))
    yield Case("shift to an idle pool with an odd replica", odd, SHIFT, "deny", where)


def turning_cases() -> Iterator[Case]:
    away = "G0 turning away"
    yield Case("turning away in health", slo(S(), met=True), SHED, "ask", away)
    yield Case("turning away in trouble", slo(S(), met=False), SHED)
    yield Case("turning away, not known whether", slo(S(), met=None), SHED, "ask", away)
    yield Case("turning away, taken back", slo(S(), met=True), SHED, undo=True)
    limited = g.with_levers(slo(S(), met=True), gateway_limit=100)
    for wanted, answer in ((99, "ask"), (100, "allow"), (125, "allow"), (0, "allow")):
        one = replace(SHED, change=(("gateway_limit", wanted),))
        yield Case(f"a limit of 100 to {wanted}", limited, one, answer, away * (answer == "ask"))
    unread = g.with_levers(slo(S(), met=True), gateway_limit=float("nan"))
    yield Case("the limit in force unread", unread, SHED, "deny", "G2 step")
    yield Case("in a paired run", policy(slo(S(), met=True), evidence_rules=False), SHED)


def batch_cases() -> Iterator[Case]:
    full = "G0 full batches"
    share = {n: (names.replica(f"a-{n}"), names.BATCH_FULL_SHARE) for n in (1, 2, 3)}

    def told(*values: float) -> GuardState:
        pairs = zip(share.values(), values, strict=False)
        return g.told(S(), *(g.reading(*key, value) for key, value in pairs))

    yield Case("every second batch is full", told(0.5, 0.5, 0.5), BATCH)
    yield Case("in most replicas", told(0.1, 0.5, 0.9), BATCH)
    yield Case("one full replica says nothing", told(0.1, 0.499, 1.0), BATCH, "deny", full)
    yield Case("of two the less full one speaks", told(0.4, 0.9, 0.499), BATCH, "deny", full)
    yield Case("a replica's batches unknown", g.without(S(), [share[2]]), BATCH, "deny", full)
    other = g.told(S(), g.reading("replica:b-1", names.BATCH_FULL_SHARE, 0.0))
    yield Case("the other pool's are its own matter", other, BATCH)
    empty = told(0.1, 0.1, 0.1)
    larger = "G0 larger batch"
    for family in Family:
        fine = family in {Family.LOAD, Family.BATCHING}
        ill = g.suspect(S(), family, names.GATEWAY)
        answer, rule = ("allow", "") if fine else ("ask", larger)
        yield Case(f"a larger batch, suspected is {family.value}", ill, BATCH, answer, rule)
    both = g.suspect(g.suspect(S(), Family.LOAD, names.GATEWAY), Family.WORK, names.GATEWAY)
    yield Case("a larger batch, load is not all", both, BATCH, "ask", larger)
    yield Case("a larger batch taken back, ill", both, BATCH, undo=True)
    yield Case("back to the batch that served, ill", replaced(both, 16), BATCH, "ask", larger)
    yield Case("a larger batch, ill, paired", policy(both, evidence_rules=False), BATCH)
    yield Case("back to the batch that served", replaced(empty, 16), BATCH)
    yield Case("back to another one", replaced(empty, 15), BATCH, "deny", full)


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


CASES = tuple(more for case in evidence_cases() for more in derived(case))
# Facts that evidence can only spoil together; the rules are asked about each alone.
SPOILT: tuple[tuple[Action, Facts, str], ...] = (
    (UP2, {"evidence_age_ms": -1}, "G0 sight"),
    (UP2, {"evidence_age_ms": 2001}, "G0 sight"),
    (UP2, {"silent": 0, "replicas": 0}, ""),
)
MINE = [rule for rule in RULES if rule.id == "G0"]
VACUOUS: set[tuple[str, str]] = set()


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
