"""The guard kernel: one action, one state, one time; Allow, Deny or NeedApproval.

Total: it answers every input, and what it cannot make sense of it denies. Rules come from `rules`
as trees and run as closures; the kernel itself knows no threshold.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from homeostat.base.actions import Action, ActionKind
from homeostat.base.guard import Allow, Deny, GuardAnswer, GuardState, NeedApproval
from homeostat.base.policy import PolicyRule
from homeostat.base.units import MILLISECOND, TimeNs
from homeostat.safety.added import added_rules
from homeostat.safety.closures import Compiled, compile_tree
from homeostat.safety.facts import facts
from homeostat.safety.fields import TYPES, show
from homeostat.safety.rule import EXEMPTIONS, Effect, Rule
from homeostat.safety.rules import RULES
from homeostat.safety.sight import Sight, look
from homeostat.safety.tree import Facts, Or, Value, fields_of, type_of


@dataclass(frozen=True, slots=True)
class _Ready:
    """One rule, compiled: its demand or any of its exemptions."""

    rule: Rule
    holds: Compiled


@dataclass(frozen=True, slots=True)
class Kernel:
    """Rules compiled and sorted by the kind they speak for."""

    by_kind: dict[str, tuple[_Ready, ...]]

    def judge(self, record: dict[str, Value]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return (reasons to deny, reasons to ask); both empty means that all rules hold."""
        denials: list[str] = []
        questions: list[str] = []
        for ready in self.by_kind[str(record["kind"])]:
            answer = ready.holds(record)
            if answer is True:
                continue
            rule = ready.rule
            effect: Effect = rule.on_unknown if answer is None else rule.on_false
            if effect == "deny":
                denials.append(_reason(rule, record, unknown=answer is None))
            elif effect == "ask":
                questions.append(_reason(rule, record, unknown=answer is None))
        return tuple(denials), tuple(questions)


def compile_rules(rules: Iterable[Rule]) -> Kernel:
    """Return the rules, type-checked and compiled.

    Raises:
        TypeError: A rule or an exemption does not type-check over the facts.
    """
    ready: list[_Ready] = []
    for rule in rules:
        lifted = Or((rule.require, *(EXEMPTIONS[name] for name in rule.exempt)))
        type_of(lifted, TYPES)
        ready.append(_Ready(rule, compile_tree(lifted if rule.exempt else rule.require)))
    return Kernel({
        kind.value: tuple(one for one in ready if kind in one.rule.kinds) for kind in ActionKind
    })


_KERNEL = compile_rules(RULES)


@lru_cache(maxsize=64)
def _kernel_of(rules: tuple[PolicyRule, ...]) -> Kernel:
    """Return a policy's own rules, compiled once; a rule that cannot be read denies everything."""
    return compile_rules(added_rules(rules))


def guard(action: Action, state: GuardState, now: TimeNs, *, undo: bool = False) -> GuardAnswer:
    """Return whether the action may run now.

    Never raises. HOLD and ESCALATE are always allowed; whatever does not make sense is denied.

    Args:
        action: What would be done. For an undo: the action in flight (its recorded pre-image is
            judged), or an action whose `change` is the pre-image that would be written.
        state: Everything that may forbid it.
        now: The time.
        undo: An action of ours is being taken back.
    """
    try:
        return answer(action, look(state, now), undo=undo, kernel=_KERNEL)
    except Exception as error:  # noqa: BLE001 - total by promise: what cannot be judged is denied
        return _senseless(action, error)


def answer(
    action: Action, sight: Sight, *, undo: bool = False, kernel: Kernel = _KERNEL
) -> GuardAnswer:
    """Return the guard's answer for what is seen; `permit` calls it once per candidate.

    Raises:
        Exception: The state or action makes no sense; `guard` turns that into a denial.
    """
    if action.is_passive:
        return _passive(action)
    record = facts(action, sight, undo=undo)
    denials, questions = kernel.judge(record)
    added = sight.state.managed.guard.rules
    if added:
        more = _kernel_of(added).judge(record)
        denials, questions = denials + more[0], questions + more[1]
    if denials:
        return Deny(reasons=denials)
    if not questions or record["approved"] is True:
        return Allow()
    ttl_ms = record["ttl_ms"]
    if not isinstance(ttl_ms, int) or ttl_ms <= 0:
        return Deny(reasons=("G13 approval: the policy states no time to live", *questions))
    return NeedApproval(reasons=questions, ttl_ns=ttl_ms * MILLISECOND)


def _passive(action: Action) -> GuardAnswer:
    if action.change:
        return Deny(reasons=(f"G1 shape: {action.kind} changes nothing, but carries levers",))
    return Allow()


def _senseless(action: object, error: Exception) -> GuardAnswer:
    """Answer for input that cannot be judged: doing nothing is still allowed."""
    if isinstance(action, Action) and action.is_passive:
        return _passive(action)
    return Deny(reasons=(f"G0 sight: cannot be judged ({type(error).__name__}: {error})",))


class _Shown(dict[str, str]):
    """Facts as people read them; only what a message asks for is put into words."""

    def __init__(self, record: Facts) -> None:
        self._record = record

    def __missing__(self, name: str) -> str:
        if name not in TYPES:
            raise KeyError(name)
        return show(name, self._record.get(name))


def _reason(rule: Rule, record: Facts, *, unknown: bool) -> str:
    text = f"{rule.id} {rule.name}: {rule.message.format_map(_Shown(record))}"
    if not unknown:
        return text
    missing = sorted({name for name in fields_of(rule.require) if record.get(name) is None})
    # Nothing is missing where the demand is false and only its exemption cannot be decided.
    return f"{text}; not known: {', '.join(missing)}" if missing else text
