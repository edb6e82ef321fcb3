"""What actuators share: what became of a write, and a stamp that lies beside the levers.

A target without compare-and-set overwrites whatever is there. Its stamp is a text that one write
leaves there with its levers, `INTENT|EPOCH|DIGEST`: whose write it was, the newest controller that
wrote, and a digest of all that stood there afterwards. A write by anybody else makes the digest
false, and the stamp then reads as nobody's. That is care, not a guarantee: between looking and
writing somebody else may write.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from homeostat.base.intent import Intent, Receipt, ReceiptStatus
from homeostat.base.units import TimeNs
from homeostat.base.world import Levers, Scalar

DONE: Final = ReceiptStatus.DONE
NOT_APPLIED: Final = ReceiptStatus.NOT_APPLIED
UNKNOWN: Final = ReceiptStatus.UNKNOWN


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a write; see `homeostat.base.intent.Receipt`."""

    status: ReceiptStatus
    detail: str
    conflict: bool = False
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Live:
    """What a target shows.

    Attributes:
        levers: Live values, sorted by name.
        intent: Whose write stands there, None for nobody's of ours.
        epoch: The newest controller that wrote, None if none did.
    """

    levers: Levers
    intent: str | None
    epoch: int | None


def receipt(intent: Intent, outcome: Outcome, now: TimeNs, started_ns: int) -> Receipt:
    """Return an outcome as the port's receipt; `started_ns` is by the monotonic clock."""
    return Receipt(
        intent_id=intent.id,
        status=outcome.status,
        at=TimeNs(now + time.monotonic_ns() - started_ns),
        token=outcome.token,
        detail=outcome.detail,
        conflict=outcome.conflict,
    )


def digest(values: Mapping[str, Scalar]) -> str:
    """Return 64 bits of a digest of named values, hex."""
    return hashlib.sha256(json.dumps(sorted(values.items())).encode()).hexdigest()[:16]


def stamped(intent: Intent, before: Live) -> str | None:
    """Return whose id the stamp carries afterwards: a claim changes no lever, and leaves it."""
    return intent.id if intent.post else before.intent


def written(intent: Intent, before: Live, after: Mapping[str, Scalar]) -> str:
    """Return the stamp that a write leaves; `after` is all that it covers, as it will stand."""
    epoch = max(intent.epoch, before.epoch or 0)
    return f"{stamped(intent, before) or ''}|{epoch}|{digest(after)}"


def read(text: str, values: Mapping[str, Scalar]) -> tuple[str | None, int | None]:
    """Return the last intent, None if somebody else wrote since, and the highest epoch seen.

    >>> read(f"d-1.0.0|3|{digest({'weight.b': 5})}", {"weight.b": 5})
    ('d-1.0.0', 3)
    >>> read(f"d-1.0.0|3|{digest({'weight.b': 5})}", {"weight.b": 6})
    (None, 3)
    """
    intent, _, rest = text.partition("|")
    epoch, _, kept = rest.partition("|")
    if not (epoch.isascii() and epoch.isdecimal()):
        return None, None
    return (intent or None if kept == digest(values) else None), int(epoch)


def refusal(intent: Intent, before: Live) -> Outcome | None:
    """Return why an intent is out of date, as far as looking first can tell."""
    if before.epoch is not None and before.epoch > intent.epoch:
        detail = f"epoch {intent.epoch} is over: {before.epoch} has written"
        return Outcome(NOT_APPLIED, detail, conflict=True)
    live, pre = dict(before.levers), dict(intent.pre)
    for name, after in intent.post:
        if name not in live:
            return Outcome(NOT_APPLIED, f"{name} is not to be read now, so it is not written")
        if name in pre and live[name] not in {pre[name], after}:
            detail = f"{name} is {live[name]}, neither {pre[name]} (before) nor {after} (after)"
            return Outcome(NOT_APPLIED, detail, conflict=True)
    return None


def whole(value: Scalar, high: int) -> bool:
    """Return whether a value is a whole number from 0 to `high`."""
    return not isinstance(value, str) and 0 <= value <= high and value == value // 1
