"""One moment at which an action of one kind is judged, as terms of the solver.

Every fact is a free term that may be unknown: whatever the metrics say, whatever a policy proposes.
Only what the policy fixes and what `safety.facts` computes by arithmetic from the levers is tied
(`safety.change`, `safety.counted`); leaving a tie out can only make a proof fail, never succeed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import z3

from homeostat.base import names
from homeostat.base.actions import ActionKind, UndoKind
from homeostat.base.guard import CAPACITY_NS
from homeostat.base.policy import GuardPolicy, KillLevel, LeverLimit, Mode
from homeostat.base.units import MILLISECOND
from homeostat.proof.smt import (
    Cell,
    Term,
    Words,
    is_false,
    is_true,
    is_unknown,
    literal,
    strings_of,
    term,
    variable,
)
from homeostat.safety.fields import TYPES
from homeostat.safety.rule import ACTIVE, EXEMPTIONS, Rule
from homeostat.safety.tree import Expr, Or, Value

# Scaling in first: of several counterexamples it is the one that most people have lived through.
KINDS: Final = tuple(
    sorted(ACTIVE, key=lambda kind: (kind is not ActionKind.SCALE_DOWN, kind.value))
)
HOUR_MS: Final = 3_600_000
_UNIT: Final = 1000  # a lever's values are thousandths, as in `safety.change`
GROWS: Final = (ActionKind.SCALE_UP, ActionKind.RESIZE_UP, ActionKind.BATCH_UP)
SHRINKS: Final = (
    ActionKind.SCALE_DOWN,
    ActionKind.RESIZE_DOWN,
    ActionKind.BATCH_DOWN,
    ActionKind.DRAIN_REPLICA,
)
LEVERS: Final[dict[ActionKind, tuple[str, ...]]] = {
    ActionKind.SCALE_UP: ("replicas.",),
    ActionKind.SCALE_DOWN: ("replicas.",),
    ActionKind.RESIZE_UP: (names.CONCURRENCY,),
    ActionKind.RESIZE_DOWN: (names.CONCURRENCY,),
    ActionKind.BATCH_UP: (names.BATCH_MAX, names.BATCH_WAIT),
    ActionKind.BATCH_DOWN: (names.BATCH_MAX, names.BATCH_WAIT),
    ActionKind.SHIFT_TRAFFIC: ("weight.",),
    ActionKind.SHED_LOAD: (names.GATEWAY_LIMIT,),
}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is proved: a policy's settings on a scrape interval, and the rules that judge.

    Attributes:
        policy: The guards' settings.
        scrape_ns: The scrape interval, in nanoseconds.
        price_milli: Price of one replica of the cheapest pool, in thousandths an hour.
        rules: The built-in rules and those of the policy.
        asked: Conditions of the policy's own properties.
        made: Moments that were made before, kept because making one costs more than a proof.
        dearest_milli: The same of the dearest pool; None = all cost the same.
    """

    policy: GuardPolicy
    scrape_ns: int
    price_milli: int
    rules: tuple[Rule, ...]
    asked: tuple[Expr, ...] = ()
    made: dict[tuple[str, ActionKind, str], "Moment"] = field(
        default_factory=dict, compare=False, repr=False
    )
    dearest_milli: int | None = None

    def ms(self, scrapes: float) -> int:
        """Return a number of scrapes in milliseconds, rounded as the guards round."""
        return round(scrapes * 1000) * self.scrape_ns // (1000 * MILLISECOND)

    @property
    def remembered_ms(self) -> int:
        """For how long the most replicas in rotation are remembered."""
        return max(self.ms(self.policy.scale_in_scrapes), CAPACITY_NS // MILLISECOND)

    @cached_property
    def words(self) -> Words:
        """Numbers for the strings that the rules and the states know."""
        texts = strings_of([*(lifted(rule) for rule in self.rules), *self.asked])
        states = (*KillLevel, *Mode, *ActionKind, *UndoKind)
        return Words(tuple(sorted(texts | {state.value for state in states})))


def lifted(rule: Rule) -> Expr:
    """Return what a rule demands, or any of the exemptions that lift it."""
    return Or((rule.require, *(EXEMPTIONS[name] for name in rule.exempt)))


def fixed(setting: Setting) -> dict[str, Value]:
    """Return the facts that the policy itself fixes."""
    policy = setting.policy
    budget = policy.budget_usd_per_hour
    return {
        "evidence_rules": policy.evidence_rules,
        "fresh_ms": setting.ms(policy.fresh_scrapes),
        "failed_probes": policy.failed_probes,
        "persist_ms": setting.ms(policy.persist_scrapes),
        "min_replicas": policy.min_replicas,
        "scale_in_ms": setting.ms(policy.scale_in_scrapes),
        "max_tries": policy.max_tries,
        "hour_limit": policy.actions_per_hour,
        "fleet_hour_limit": policy.fleet_actions_per_hour,
        "correlated_targets": policy.correlated_targets,
        "correlated_fleet": policy.correlated_fleet,
        "util_max_milli": round(policy.utilisation_max * 1000),
        "watch_ms": setting.ms(policy.watch_scrapes),
        "budgeted": budget is not None,
        "budget_milli": None if budget is None else round(budget * 1000),
        "ttl_ms": setting.ms(policy.approval_ttl_scrapes),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """An action of one kind before the guards.

    Attributes:
        kind: What would be done.
        name: Prefix of its terms.
        cells: The facts.
        limit: Bounds of the lever that is moved, None where none is watched.
        live: The lever's value, in thousandths.
        wanted: What it would be set to.
        at: The time, in milliseconds.
        denied: That the guards deny it.
        asked: That they ask a person for it, unless they deny it.
        ties: What holds of the facts.
        chosen: That this is what is done, where a step has several kinds to choose from.
    """

    kind: ActionKind
    name: str
    cells: Mapping[str, Cell]
    limit: LeverLimit | None
    live: Term
    wanted: Term
    at: Term
    denied: Term
    asked: Term
    ties: tuple[Term, ...] = field(repr=False)
    chosen: Term = field(repr=False)

    def truth(self, name: str) -> Term:
        """Return that a flag is known and true."""
        return is_true(self.cells[name])

    def number(self, name: str) -> Term:
        """Return a number's value; it means nothing where the number is not known."""
        return self.cells[name].value

    def known(self, name: str) -> Term:
        """Return that a fact is known."""
        return self.cells[name].known

    @property
    def with_a_yes(self) -> Term:
        """That it may run, if need be after a person said yes."""
        return z3.Not(self.denied)

    @property
    def alone(self) -> Term:
        """That it may run without anybody being asked."""
        return z3.And(z3.Not(self.denied), z3.Not(self.asked))


def moment(
    setting: Setting, kind: ActionKind, name: str, limit: LeverLimit | None = None
) -> Moment:
    """Return a moment of which nothing is said but what always holds.

    Args:
        setting: The policy.
        kind: The action's kind.
        name: A prefix that no other moment of the same question has.
        limit: The lever to watch.
    """
    key = (name, kind, "" if limit is None else limit.lever)
    if key not in setting.made:
        setting.made[key] = _made(setting, kind, name, limit)
    return setting.made[key]


def _made(setting: Setting, kind: ActionKind, name: str, limit: LeverLimit | None) -> Moment:
    words = setting.words
    cells = {field_: variable(f"{name}.{field_}", of) for field_, of in TYPES.items()}
    cells |= {key: literal(value, words) for key, value in fixed(setting).items()}
    cells["kind"] = literal(kind.value, words)
    named = (*setting.policy.auto_kinds, *setting.policy.earn_kinds)  # earned: at the most
    granted = kind in named and setting.policy.granted_by.strip() != ""
    cells["granted"] = literal(granted, words)
    denied, asked = judged(setting.rules, kind, cells, words)
    live, wanted, at = z3.Ints(f"{name}.live {name}.wanted {name}.at")
    ties = (*_always(setting, cells, words), *_lever(setting, kind, limit, cells, live, wanted))
    return Moment(
        kind=kind, name=name, cells=cells, limit=limit, live=live, wanted=wanted, at=at,
        denied=denied, asked=asked, ties=ties, chosen=z3.Bool(f"{name}.chosen"),
    )  # fmt: skip


def judged(
    rules: Sequence[Rule], kind: ActionKind, cells: Mapping[str, Cell], words: Words
) -> tuple[Term, Term]:
    """Return that some rules deny an action of a kind, and that they ask for it."""
    denied: list[Term] = []
    asked: list[Term] = []
    for rule in rules:
        if kind not in rule.kinds:
            continue
        found = term(lifted(rule), cells, words)
        for effect, holds in (
            (rule.on_false, is_false(found)),
            (rule.on_unknown, is_unknown(found)),
        ):
            (denied if effect == "deny" else asked).extend([holds] if effect != "pass" else [])
    return z3.Or(*denied), z3.Or(*asked)


# Facts of which `safety.facts` always knows a value, whatever is missing.
_ALWAYS: Final = (
    "undo", "undo_kind", "approved", "named", "ours", "shaped", "acted", "tries", "peak", "hour",
    "rollbacks", "fleet_hour", "flying", "targets", "targets_changing", "others_changing",
    "anomalous", "sensors_ok", "frozen", "kill", "mode", "observing", "proposal_age_ms",
    "grown", "shrunk", "sharing", "priced", "billed", "turns", "foreseen",
    "unproved", "unproved_text", "agreed", "late",
)  # fmt: skip
_COUNTS: Final = (
    "tries", "peak", "hour", "rollbacks", "fleet_hour", "targets", "targets_changing",
    "others_changing", "anomalous", "silent", "suspicions", "filling", "replicas", "spares",
    "taken", "grown", "shrunk", "sharing", "turns", "agreed",
)  # fmt: skip


def _always(setting: Setting, cells: Mapping[str, Cell], words: Words) -> list[Term]:
    ties = [cells[name].known for name in _ALWAYS if name in cells]
    ties += [cells[name].value >= 0 for name in _COUNTS if name in cells]
    ties += [
        z3.Or(*(cells["kill"].value == words.code(level.value) for level in KillLevel)),
        z3.Or(*(cells["mode"].value == words.code(mode.value) for mode in Mode)),
        cells["cooldown_ms"].value >= setting.ms(setting.policy.cooldown_scrapes),
        z3.Implies(cells["acted"].value, cells["since_ms"].known),
        z3.Implies(cells["late"].value, cells["undo"].value),
    ]
    return ties


def _lever(
    setting: Setting,
    kind: ActionKind,
    limit: LeverLimit | None,
    cells: Mapping[str, Cell],
    live: Term,
    wanted: Term,
) -> list[Term]:
    """Tie the facts to the lever that is watched; others may move too, the worst speaks."""
    ties = [live >= 0, wanted >= 0]
    if limit is not None:
        ties.append(cells["excess_milli"].value >= excess_of(limit, live, wanted))
        if not steps_freely(limit):
            ties.append(cells["step_excess_milli"].value >= beyond_of(limit, live, wanted))
    sign = {True: wanted >= live, False: wanted <= live}
    if kind in GROWS or (kind in SHRINKS and kind is not ActionKind.DRAIN_REPLICA):
        told = z3.And(cells["directed"].known, z3.Not(cells["undo"].value))
        ties.append(z3.Implies(told, cells["directed"].value == sign[kind in GROWS]))
    if kind in {ActionKind.SCALE_UP, ActionKind.SCALE_DOWN}:
        ties += _replicas(setting, cells, live, wanted)
    if kind is ActionKind.DRAIN_REPLICA:
        ties += _one_out(setting, cells, live, wanted)
    return ties


def excess_of(limit: LeverLimit, live: Term, wanted: Term) -> Term:
    """Return how far a value is outside its bounds, 0 if it only moves towards them."""
    excess = outside(limit, wanted)
    return z3.If(z3.And(excess > 0, excess < outside(limit, live)), 0, excess)


def beyond_of(limit: LeverLimit, live: Term, wanted: Term) -> Term:
    """Return how far a change is beyond the largest step."""
    beyond = step_of(live, wanted) - largest_step(limit, live, wanted)
    return z3.If(beyond > 0, beyond, 0)


def steps_freely(limit: LeverLimit) -> bool:
    """Weights move freely towards the fallback, a limit at the gateway away from none."""
    return limit.lever.startswith("weight.") or limit.lever == names.GATEWAY_LIMIT


def outside(limit: LeverLimit, value: Term) -> Term:
    """Return how far a value lies outside a lever's bounds, 0 inside.

    A limit at the gateway that is 0 is none, which is no value outside.
    """
    low, high = round(limit.low * _UNIT), round(limit.high * _UNIT)
    beyond = z3.If(value < low, low - value, z3.If(value > high, value - high, z3.IntVal(0)))
    return z3.If(value == 0, 0, beyond) if limit.lever == names.GATEWAY_LIMIT else beyond


def step_of(live: Term, wanted: Term) -> Term:
    """Return how far a lever would move."""
    return z3.If(wanted > live, wanted - live, live - wanted)


def largest_step(limit: LeverLimit, live: Term, wanted: Term) -> Term:
    """Return the largest step in thousandths: the policy's share, and at least one whole unit."""

    def share(of: float) -> Term:
        part = live * round(of * 1000) / 1000
        return z3.If(part > _UNIT, part, z3.IntVal(_UNIT))

    return z3.If(wanted > live, share(limit.step_up), share(limit.step_down))


def _replicas(setting: Setting, cells: Mapping[str, Cell], live: Term, wanted: Term) -> list[Term]:
    """Tie replicas added, taken, left and paid for; a lever of replicas holds whole ones."""
    delta = (wanted - live) / _UNIT
    lost = z3.If(wanted < live, -delta, z3.IntVal(0))
    ahead = z3.Not(cells["undo"].value)
    price = setting.price_milli
    dearest = max(price, setting.dearest_milli or 0)
    # What goes may be of the dearest pool, what comes of the cheapest.
    added = price * delta
    if dearest > price:
        added = z3.If(delta < 0, dearest * delta, added)
    return [
        live % _UNIT == 0,
        wanted % _UNIT == 0,
        cells["added"].value == delta,
        # An undo takes at most what may be serving; shrinking on purpose counts in full.
        z3.Implies(ahead, cells["taken"].value == lost),
        cells["disturbed"].value >= lost,
        # Seen healthy are at most those that are there.
        cells["left_in_pool"].value <= wanted / _UNIT,
        cells["spend_milli"].value >= price * (wanted / _UNIT),
        cells["spend_change_milli"].value >= added,
    ]


def _one_out(setting: Setting, cells: Mapping[str, Cell], live: Term, wanted: Term) -> list[Term]:
    """Tie what a drain takes: one replica, or none that serves (it is proven failing)."""
    taken = cells["taken"].value
    failures = cells["probe_failures"]
    failed = z3.And(failures.known, failures.value >= setting.policy.failed_probes)
    proven = z3.Or(failed, is_true(cells["process_gone"]))
    return [
        live % _UNIT == 0,
        taken <= 1,
        z3.Implies(proven, taken == 0),
        wanted == live - _UNIT * taken,
        cells["left_in_pool"].value <= wanted / _UNIT,
    ]
