"""What a guard rule is, and which exemptions lift which rules.

A rule says for which kinds it speaks, what it demands, which exemptions lift it, and what follows
when the demand is false or cannot be decided. Exemptions are trees too: the kernel checks them,
whatever an action claims about itself.
"""

from dataclasses import dataclass
from typing import Final, Literal

from homeostat.base.actions import ActionKind
from homeostat.safety.tree import And, Compare, Const, Expr, Member, Not, Op, Or, Ref, Scale

Effect = Literal["deny", "ask", "pass"]

UP, DOWN = ActionKind.SCALE_UP, ActionKind.SCALE_DOWN
RESTART, DRAIN = ActionKind.RESTART_REPLICA, ActionKind.DRAIN_REPLICA
ROLLBACK, SHIFT, SHED = ActionKind.ROLLBACK, ActionKind.SHIFT_TRAFFIC, ActionKind.SHED_LOAD
RESIZE_DOWN = ActionKind.RESIZE_DOWN
ACTIVE: Final = frozenset(ActionKind) - {ActionKind.HOLD, ActionKind.ESCALATE}
SHRINKS: Final = frozenset({DOWN, RESIZE_DOWN, ActionKind.BATCH_DOWN, SHIFT, SHED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One guard, or one of its parts.

    Attributes:
        id: `G0` to `G14`.
        name: What it guards, unique together with the id.
        source: Where the demand and its default come from.
        require: What must be true.
        message: What a person reads when it is not; `{field}` shows a fact.
        kinds: Kinds it speaks for.
        exempt: Names of the exemptions that lift it.
        on_false: What follows when it is false.
        on_unknown: What follows when it cannot be decided.
    """

    id: str
    name: str
    source: str
    require: Expr
    message: str
    kinds: frozenset[ActionKind] = ACTIVE
    exempt: tuple[str, ...] = ()
    on_false: Effect = "deny"
    on_unknown: Effect = "deny"


def compare(left: str, op: Op, right: str | int | Expr) -> Compare:
    """Compare a field with another field (a string), a number or a tree."""
    if isinstance(right, str):
        return Compare(op, Ref(left), Ref(right))
    return Compare(op, Ref(left), Const(right) if isinstance(right, int) else right)


def equals(field: str, value: str) -> Compare:
    """Compare a field with a literal string."""
    return Compare("==", Ref(field), Const(value))


def kind_in(*kinds: ActionKind) -> Member:
    """Ask whether the action is of one of some kinds."""
    return Member(Ref("kind"), tuple(kind.value for kind in kinds))


PROVEN_FAILING: Final = Or((
    Ref("process_gone"),
    compare("probe_failures", ">=", "failed_probes"),
    # Drained first, restarted next: it serves nobody, so the restart takes nothing away.
    And((kind_in(RESTART), Ref("drained"))),
))
# Slow beside its peers and beside its own past, for as long as any suspicion must last.
SLOWER: Final = And((Ref("odd_device"), compare("beside_ms", ">=", "persist_ms")))

_BACK: Final = "rollback to the last verified version"
_FIRST_BACK: Final = "its first rollback within the hour"
_SETTING: Final = "back to the setting that served"
EXEMPTIONS: Final[dict[str, Expr]] = {
    "undo": Ref("undo"),
    _BACK: And((kind_in(ROLLBACK), Ref("to_last_verified"))),
    # A pool that is rolled back again and again is flipped between versions: from the second on
    # it counts like any other action.
    _FIRST_BACK: And((
        kind_in(ROLLBACK),
        Ref("to_last_verified"),
        compare("rollbacks", "==", 0),
    )),
    "one replica proven failing": And((
        kind_in(RESTART, DRAIN),
        compare("disturbed", "<=", 1),
        PROVEN_FAILING,
        Ref("others_remain"),
    )),
    # A setting, not a version: no more than one doubling (G2 step) beyond what it carried.
    _SETTING: And((
        kind_in(ActionKind.BATCH_UP, ActionKind.BATCH_DOWN, ActionKind.RESIZE_UP, RESIZE_DOWN),
        Ref("to_served"),
        Compare("<=", Ref("rate_milli"), Scale(2, Ref("rate_served_milli"))),
    )),
    "one more replica": And((kind_in(UP), Not(Ref("undo")), compare("added", "==", 1))),
}
UNDO: Final = ("undo",)
PLUS_ONE: Final = ("undo", "one more replica")
BACKWARD: Final = ("undo", _BACK)
# From cooldown, fleet rate and canary; from the target's own rate; from the step.
EXEMPT: Final = tuple(name for name in EXEMPTIONS if name not in {_FIRST_BACK, _SETTING})
RATED: Final = tuple(name for name in EXEMPTIONS if name not in {_BACK, _SETTING})
STEP: Final = (*EXEMPT, _SETTING)
# From what is only estimated of a batch that was never tried.
SERVED: Final = ("undo", _SETTING)

TABLE: Final = "guard table, row "
