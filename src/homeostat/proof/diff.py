"""What one policy allows that another does not, with a witness; and rules that change nothing.

The same state before two policies: the facts are shared but for those that a policy fixes or that
follow from its limits. What cannot be decided in time is said, never left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal

import z3

from homeostat.base.actions import ActionKind
from homeostat.base.policy import LeverLimit
from homeostat.proof.moment import (
    KINDS,
    LEVERS,
    Moment,
    Setting,
    beyond_of,
    excess_of,
    fixed,
    judged,
    lifted,
    moment,
    steps_freely,
)
from homeostat.proof.question import draw, exists
from homeostat.proof.replay import Guard, Seen, replay
from homeostat.proof.smt import Term
from homeostat.proof.well import defaults, drawable
from homeostat.safety.rule import Rule
from homeostat.safety.tree import Expr

Change = Literal["newly allowed", "no longer asked", "unknown"]
# Facts that follow from the state and the policy together: tied to the state, not shared.
_FOLLOWS: Final = frozenset({
    "limited",
    "excess_milli",
    "step_excess_milli",
    "cooldown_ms",
    "granted",
    "replicas_limit",
    "targets_limit",
    "correlated_limit_milli",
})
_MOST_DOUBLINGS: Final = (1, 2, 4, 8, 16, 32, 64)  # as in `safety.counted`


@dataclass(frozen=True, slots=True, kw_only=True)
class Widening:
    """One kind of action that the new policy lets through and the old one did not.

    Attributes:
        kind: The kind.
        change: What is new.
        lever: The lever that is moved, empty where none is watched.
        witness: One state, as the real guards see it under the new policy; empty where the real
            guards do not confirm what the solver found, or nothing was decided.
        before: What the old policy says there, in the guards' words.
    """

    kind: str
    change: Change
    lever: str = ""
    witness: tuple[Seen, ...] = ()
    before: tuple[str, ...] = ()


def widened(old: Setting, new: Setting, guard: Guard, timeout_ms: int) -> Iterator[Widening]:
    """Yield what the new policy newly allows, one witness for each kind and lever.

    Args:
        old: The policy in force.
        new: The policy that is compared with it.
        guard: The real guards, which confirm each witness.
        timeout_ms: For one answer of the solver.
    """
    old, new = _one_tongue(old, new)
    for kind in KINDS:
        for first, second in _limits(old, new, kind):
            found = _compared(old, new, _Pair(kind, first, second), guard, timeout_ms)
            if found is not None:
                yield found


def idle_rules(setting: Setting, added: tuple[Rule, ...], timeout_ms: int) -> Iterator[str]:
    """Yield the names of rules that forbid nothing that the others allow.

    Args:
        setting: The policy with all rules.
        added: The policy's own rules among them.
        timeout_ms: For one answer of the solver; a rule that is not decided is not named.
    """
    for rule in added:
        others = tuple(one for one in setting.rules if one is not rule)
        if all(
            exists([*now.ties, *_freed(others, now, setting)], timeout_ms) == "none"
            for kind in KINDS
            if kind in rule.kinds
            for now in [moment(setting, kind, "now")]
        ):
            yield rule.name


def barred_kinds(setting: Setting, builtin: tuple[Rule, ...], timeout_ms: int) -> Iterator[str]:
    """Yield the kinds that the policy's rules together never let through.

    Args:
        setting: The policy with all rules.
        builtin: The built-in rules among them.
        timeout_ms: For one answer of the solver.
    """
    for kind in KINDS:
        now = moment(setting, kind, "now")
        ahead = z3.Not(now.cells["undo"].value)
        denied, _ = judged(builtin, kind, now.cells, setting.words)
        possible = exists([*now.ties, ahead, z3.Not(denied)], timeout_ms)
        if possible == "some" and exists([*now.ties, ahead, now.with_a_yes], timeout_ms) == "none":
            yield kind.value


def _freed(others: tuple[Rule, ...], now: Moment, setting: Setting) -> list[Term]:
    """Return that a rule makes a difference: it stops, or asks for, what the others let pass."""
    denied, asked = judged(others, now.kind, now.cells, setting.words)
    stops = z3.And(z3.Not(denied), now.denied)
    asks = z3.And(z3.Not(denied), z3.Not(asked), z3.Not(now.alone))
    return [z3.Or(stops, asks)]


@dataclass(frozen=True, slots=True)
class _Pair:
    """One kind, and the bounds of one lever in both policies."""

    kind: ActionKind
    old: LeverLimit | None
    new: LeverLimit | None


def _one_tongue(old: Setting, new: Setting) -> tuple[Setting, Setting]:
    """Return both with the same numbers for the strings that either names."""
    said: tuple[Expr, ...] = tuple(lifted(rule) for rule in (*old.rules, *new.rules))
    return replace(old, asked=said, made={}), replace(new, asked=said, made={})


def _limits(
    old: Setting, new: Setting, kind: ActionKind
) -> Iterator[tuple[LeverLimit | None, LeverLimit | None]]:
    if kind not in LEVERS:
        yield None, None
        return
    before = {limit.lever: limit for limit in old.policy.limits}
    for limit in new.policy.limits:
        if any(limit.lever == lever or limit.lever.startswith(lever) for lever in LEVERS[kind]):
            prefix = limit.lever.partition(".")[0] + "."
            yield before.get(limit.lever, before.get(prefix)), limit


def _compared(
    old: Setting, new: Setting, pair: _Pair, guard: Guard, timeout_ms: int
) -> Widening | None:
    first = moment(old, pair.kind, "old", pair.old)
    second = moment(new, pair.kind, "new", pair.new)
    ties = [*first.ties, *second.ties, *_shared(old, new, first, second, pair)]
    lever = "" if pair.new is None else pair.new.lever
    cases: tuple[tuple[Change, Term], ...] = (
        ("newly allowed", z3.And(second.with_a_yes, first.denied)),
        ("no longer asked", z3.And(second.alone, z3.Not(first.alone))),
    )
    for change, looser in cases:
        found = exists([*ties, looser], timeout_ms)
        if found == "unknown":
            return Widening(kind=pair.kind.value, change="unknown", lever=lever)
        if found == "some":
            hard = [*ties, looser, second.chosen, *drawable(new, second)]
            drawn = draw(new, [second], hard, defaults(new, second), timeout_ms)
            seen = () if drawn is None else replay(new, drawn, guard)
            before = () if drawn is None else replay(old, drawn, guard)
            real = bool(seen) and seen[0].answer != "deny" and before[0].answer != seen[0].answer
            return Widening(
                kind=pair.kind.value,
                change=change,
                lever=lever,
                witness=seen if real else (),
                before=before[0].reasons if real else (),
            )
    return None


def _shared(old: Setting, new: Setting, first: Moment, second: Moment, pair: _Pair) -> list[Term]:
    ties = [first.live == second.live, first.wanted == second.wanted]
    apart = _FOLLOWS | set(fixed(old)) | {"kind"}
    for name, cell in first.cells.items():
        if name not in apart:
            other = second.cells[name]
            ties += [cell.known == other.known, cell.value == other.value]
    times, size = z3.Ints("doublings fleet.size")
    ties += [z3.Or(*(times == number for number in _MOST_DOUBLINGS)), size >= 0]
    for setting, now, limit in ((old, first, pair.old), (new, second, pair.new)):
        ties += _following(setting, now, limit, times, size)
    return ties


def _following(
    setting: Setting, now: Moment, limit: LeverLimit | None, times: Term, size: Term
) -> list[Term]:
    """Tie what follows from the shared state under one policy's settings."""
    cells, policy = now.cells, setting.policy
    free = now.kind not in LEVERS
    ties = [cells[name].known for name in sorted(_FOLLOWS - {"granted"})]
    ties += [
        cells["cooldown_ms"].value == times * setting.ms(policy.cooldown_scrapes),
        cells["replicas_limit"].value == _share(size, policy.replicas_share),
        cells["targets_limit"].value == _share(cells["targets"].value, policy.targets_share),
        cells["correlated_limit_milli"].value
        == cells["targets"].value * round(policy.correlated_share * 1000),
        cells["limited"].value == z3.BoolVal(free or limit is not None),
    ]
    if limit is None:
        return [*ties, cells["excess_milli"].value == 0, cells["step_excess_milli"].value == 0]
    ties.append(cells["excess_milli"].value == excess_of(limit, now.live, now.wanted))
    beyond = 0 if steps_freely(limit) else beyond_of(limit, now.live, now.wanted)
    return [*ties, cells["step_excess_milli"].value == beyond]


def _share(of: Term, share: float) -> Term:
    part = of * round(share * 1000) / 1000
    return z3.If(part > 1, part, z3.IntVal(1))
