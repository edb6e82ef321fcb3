"""Questions to the guard at its boundaries, and mutants of its rules.

For tests of guard rules, built in or added: a `Case` is a state, an action and the one rule that
must decide it; a `Bench` says whether a set of rules still answers every case as wanted, so that a
rule that is dropped or flipped without being noticed shows up as a missing case.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from homeostat.base import names
from homeostat.base.actions import Action, ActionKind
from homeostat.base.decisions import Effect
from homeostat.base.events import FleetView
from homeostat.base.evidence import Evidence, Quality
from homeostat.base.guard import Allow, Deny, GuardAnswer, GuardState, NeedApproval, PastAction
from homeostat.base.intent import ActionRecord, ActionState, Intent
from homeostat.base.policy import Mode
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Snapshot
from homeostat.safety.facts import facts
from homeostat.safety.guard import compile_rules
from homeostat.safety.rule import Rule
from homeostat.safety.sight import look
from homeostat.safety.tree import And, Compare, Expr, Facts, Member, Not, Op, Or, Value
from homeostat.testing import guard_scene as g

OTHER: Final = g.act(ActionKind.SHED_LOAD, names.GATEWAY, gateway_limit=100)


@dataclass(frozen=True)
class Case:
    """One question to the guard and the one rule that decides it; no rule means Allow."""

    name: str
    state: GuardState
    action: Action
    wanted: str = "allow"
    rule: str = ""
    undo: bool = False


def known(state: GuardState) -> tuple[Snapshot, Evidence]:
    """Return the world and the evidence of a state that has both.

    Raises:
        ValueError: It lacks one.
    """
    if state.world is None or state.evidence is None:
        raise ValueError("this state has no world or no evidence to change")
    return state.world, state.evidence


def policy(state: GuardState, **changes: object) -> GuardState:
    """Return the state under a changed guard policy."""
    guard_policy = replace(state.managed.guard, **changes)  # type: ignore[arg-type]
    return replace(state, managed=replace(state.managed, guard=guard_policy))


def mode(state: GuardState, wanted: Mode) -> GuardState:
    """Return the state in another autonomy mode."""
    return replace(state, managed=replace(state.managed, mode=wanted))


def past(
    seconds_ago: float,
    *,
    times: int = 1,
    effect: Effect | None = Effect.HELPED,
    action: Action = OTHER,
) -> tuple[PastAction, ...]:
    """Return actions on the target that many seconds ago."""
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
    """Return an action record on its way."""
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
    """Return the state with an action in flight."""
    return replace(state, in_flight=record(action, where, **more))  # type: ignore[arg-type]


def fleet(state: GuardState, **changes: object) -> GuardState:
    """Return the state in a fleet of a hundred deployments."""
    base = FleetView(targets=100, replicas=400)
    return replace(state, fleet=replace(base, **changes))  # type: ignore[arg-type]


def stamped(state: GuardState, **changes: object) -> GuardState:
    """Return the state with the targets' stamps changed."""
    world, _ = known(state)
    stamps = tuple(replace(stamp, **changes) for stamp in world.stamps)  # type: ignore[arg-type]
    return replace(state, world=replace(world, stamps=stamps))


def aged(state: GuardState, *, evidence_s: float = 0.0, world_s: float = 0.0) -> GuardState:
    """Return the state with an older tick or an older snapshot."""
    world, evidence = known(state)
    return replace(
        state,
        evidence=replace(evidence, at=TimeNs(g.NOW - round(evidence_s * SECOND))),
        world=replace(world, observed_at=TimeNs(g.NOW - round(world_s * SECOND))),
    )


def young(state: GuardState) -> GuardState:
    """Return the state with readings of age zero, so that only the tick's age counts."""
    _, evidence = known(state)
    readings = tuple(replace(one, age_ns=0) for one in evidence.readings)
    return replace(state, evidence=replace(evidence, readings=readings))


def quiet(state: GuardState, *slots: str) -> GuardState:
    """Return the state in which nothing is heard of some replicas."""
    page = (names.LATENCY_P95, names.DEVICE_TIME, names.BATCH_FULL_SHARE)
    signals = (names.PROBE_FAILURES, *page)
    return g.without(state, [(names.replica(slot), signal) for slot in slots for signal in signals])


def quality(state: GuardState, signal: str, wanted: Quality) -> GuardState:
    """Return the state with one gateway reading that is not good."""
    _, evidence = known(state)
    readings = tuple(
        replace(one, quality=wanted, value=None)
        if (one.subject, one.signal) == (names.GATEWAY, signal)
        else one
        for one in evidence.readings
    )
    return replace(state, evidence=replace(evidence, readings=readings))


def used(state: GuardState, share: float) -> GuardState:
    """Return the state with that utilisation of both pools."""
    return g.told(
        state,
        g.reading(names.pool("a"), names.UTILISATION, share),
        g.reading(names.pool("b"), names.UTILISATION, share),
    )


def budget(state: GuardState, usd: float) -> GuardState:
    """Return the state with a budget in dollars per hour."""
    return policy(state, budget_usd_per_hour=usd)


def not_ready(state: GuardState) -> GuardState:
    """Return the state while baselines are being learnt."""
    _, evidence = known(state)
    return replace(state, evidence=replace(evidence, ready=False))


def slo(state: GuardState, *, met: bool | None) -> GuardState:
    """Return the state with the objectives met, missed or unknown."""
    _, evidence = known(state)
    return replace(state, evidence=replace(evidence, slo_met=met))


# What the guard table keeps for an undo too; everything else an undo is exempt from.
BINDS_UNDO = {
    "G1 scope",
    "G2 floor",
    "G2 never empty",
    "G5 restart all",
    "G10 ownership",
}


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


def verdict(answer: GuardAnswer) -> tuple[str, str]:
    """Return `allow`, `deny` or `ask`, and the rules that said so, `|` between them."""
    match answer:
        case Allow():
            return "allow", ""
        case Deny(reasons=reasons):
            return "deny", speakers(reasons)
        case NeedApproval(reasons=reasons):
            return "ask", speakers(reasons)


def speakers(reasons: Iterable[str]) -> str:
    """Return the rules that some reasons name, `|` between them."""
    return "|".join(reason.partition(":")[0] for reason in reasons)


def label(rule: Rule) -> str:
    """Return what a rule is called in reasons."""
    return f"{rule.id} {rule.name}"


@dataclass(frozen=True)
class Bench:
    """Cases worked out once, so that many sets of rules can be tried on them.

    Attributes:
        records: Facts, and what is wanted of the rules.
    """

    records: tuple[tuple[dict[str, Value], str, str], ...]

    @classmethod
    def of(cls, cases: Iterable[Case], spoilt: Iterable[tuple[Action, Facts, str]] = ()) -> "Bench":
        """Return a bench of cases, and of single facts that no evidence could spoil alone.

        Args:
            cases: The cases.
            spoilt: An action on a healthy deployment, facts put over its own, and the rule that
                must deny it then; no rule for allowed.
        """
        records = [
            (facts(case.action, look(case.state, g.NOW), undo=case.undo), case.wanted, case.rule)
            for case in cases
        ]
        for action, bad, rule in spoilt:
            base = facts(action, look(g.scene(), g.NOW))
            records.append(({**base, **bad}, "deny" if rule else "allow", rule))
        return cls(tuple(records))

    def catches(self, rules: Iterable[Rule]) -> bool:
        """Return whether any case gets another answer under these rules."""
        kernel = compile_rules(rules)
        for record, wanted, rule in self.records:
            denials, questions = kernel.judge(record)
            asks = bool(questions) and record["approved"] is not True
            found = "deny" if denials else "ask" if asks else "allow"
            said = denials or (questions if asks else ())
            if (found, speakers(said)) != (wanted, rule):
                return True
        return False

    def catches_swap(self, rules: Sequence[Rule], old: Rule, *new: Rule) -> bool:
        """Return whether replacing one rule by others (none drops it) is noticed."""
        return self.catches([r for rule in rules for r in (new if rule is old else (rule,))])


FLIPS: Final[dict[Op, tuple[Op, ...]]] = {
    "<": ("<=", ">"),
    "<=": ("<", ">"),
    ">": (">=", "<"),
    ">=": (">", "<"),
    "==": ("!=",),
    "!=": ("==",),
}


def mutants(expr: Expr) -> Iterator[Expr]:
    """Yield trees with one comparison flipped, one negation, term or member dropped."""
    match expr:
        case Compare(op, left, right):
            yield from (Compare(flipped, left, right) for flipped in FLIPS[op])
        case And(terms):
            yield Or(terms)
            yield from map(And, _fewer(terms))
        case Or(terms):
            yield And(terms)
            yield from map(Or, _fewer(terms))
        case Not(term):
            yield term
        case Member(term, of) if len(of) > 1:
            yield from (Member(term, (*of[:at], *of[at + 1 :])) for at in range(len(of)))
        case _:
            return


def _fewer(terms: tuple[Expr, ...]) -> Iterator[tuple[Expr, ...]]:
    for at, term in enumerate(terms):
        if len(terms) > 1:
            yield (*terms[:at], *terms[at + 1 :])
        for changed in mutants(term):
            yield (*terms[:at], changed, *terms[at + 1 :])
