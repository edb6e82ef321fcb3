"""The action protocol's transition table, as data, and its picture.

`loop.protocol` may only move a record along `TABLE`; the docs' diagram is `mermaid()`. What a
transition needs and does lives in the protocol, not here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from homeostat.base.errors import ProtocolError
from homeostat.base.intent import ActionState

S = ActionState


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One state's ways out.

    Attributes:
        exits: States it may move to, time-outs included.
        timeout: What bounds the stay: a field of `Timing`, `settle_ns` of the action, or the
            constant that `propose` uses; empty for terminal states.
        on_timeout: Where a tick past the deadline may lead; the state itself where the tick
            counts a failed attempt.
    """

    exits: frozenset[ActionState] = frozenset()
    timeout: str = ""
    on_timeout: frozenset[ActionState] = frozenset()


def _row(timeout: str, on_timeout: set[ActionState], *exits: ActionState) -> Row:
    return Row(exits=frozenset(exits), timeout=timeout, on_timeout=frozenset(on_timeout))


TABLE: Final[Mapping[ActionState, Row]] = MappingProxyType({
    S.PROPOSED: _row(
        "PROPOSAL_NS", {S.ABANDONED}, S.DENIED, S.AWAITING_APPROVAL, S.INTENT, S.ABANDONED
    ),
    S.AWAITING_APPROVAL: _row(
        "approval_ttl_ns", {S.EXPIRED}, S.INTENT, S.DENIED, S.EXPIRED, S.ABANDONED
    ),
    S.INTENT: _row(
        "receipt_deadline_ns once sent, readback_deadline_ns before",
        {S.READBACK, S.ABANDONED, S.ROLLING_BACK},
        S.APPLIED, S.READBACK, S.ABANDONED, S.ROLLING_BACK, S.FOREIGN,
    ),
    S.READBACK: _row(
        "readback_deadline_ns", {S.ROLLING_BACK},
        S.APPLIED, S.INTENT, S.ABANDONED, S.ROLLING_BACK, S.FOREIGN,
    ),
    S.APPLIED: _row(
        "readiness_deadline_ns", {S.ROLLING_BACK, S.SUCCEEDED_UNPROVEN},
        S.SETTLING, S.ROLLING_BACK, S.FOREIGN, S.SUCCEEDED_UNPROVEN,
    ),
    S.SETTLING: _row(
        "settle_ns", {S.VERIFYING},
        S.VERIFYING, S.ROLLING_BACK, S.FOREIGN, S.SUCCEEDED_UNPROVEN,
    ),
    S.VERIFYING: _row(
        "verify_ns, blind_ns while blind", {S.SUCCEEDED_UNPROVEN, S.ROLLING_BACK},
        S.INTENT, S.SUCCEEDED, S.SUCCEEDED_UNPROVEN, S.ROLLING_BACK, S.FOREIGN,
    ),
    S.ROLLING_BACK: _row(
        "readback_deadline_ns, max_undo times", {S.ROLLING_BACK, S.STUCK, S.SUCCEEDED_UNPROVEN},
        S.ROLLED_BACK, S.STUCK, S.FOREIGN, S.SUCCEEDED_UNPROVEN,
    ),
    **{state: Row() for state in ActionState if state.is_terminal},
})  # fmt: skip


def check(action_id: str, old: ActionState, new: ActionState) -> None:
    """Refuse a move that the table does not have.

    Raises:
        ProtocolError: `new` is neither `old` nor one of its exits.
    """
    if new is not old and new not in TABLE[old].exits:
        raise ProtocolError(
            f"action {action_id}: no transition {old} -> {new} "
            f"(from {old}: {', '.join(sorted(TABLE[old].exits)) or 'none'}); this is a bug"
        )


def mermaid() -> str:
    """Return the table as a Mermaid state diagram; the docs hold exactly this text."""
    lines = ["stateDiagram-v2", "    [*] --> proposed"]
    for state, row in TABLE.items():
        for to in sorted(row.exits | row.on_timeout, key=list(ActionState).index):
            label = f": after {row.timeout}" if to in row.on_timeout else ""
            lines.append(f"    {state} --> {to}{label}")
        if state.is_terminal:
            lines.append(f"    {state} --> [*]")
    return "\n".join(lines) + "\n"
