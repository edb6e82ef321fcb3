"""The judge: what happened, from the load generator's log and the world's own records.

The controller is believed for two things only: when it first recorded the incident, and that it
told a person. Requests, recovery and losses come from the load generator's log, actions from the
host's log and the proxy's journaled receipts.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from homeostat.demo.loadlog import LoadLog


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the controller's journal says of one fault's time.

    Attributes:
        detected_at: First incident after the injection, epoch seconds; None if none.
        told_at: First page to a person after the injection, epoch seconds; None if none.
        family: The incident's suspected family when last recorded, empty if none.
        applied: (epoch seconds, what) for every confirmed change to the deployment.
    """

    detected_at: float | None = None
    told_at: float | None = None
    family: str = ""
    applied: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One line of the result; times in seconds since the demo's start, or None."""

    fault: str
    detail: str
    expected: str
    injected_at: float
    detected_at: float | None
    acted_at: float | None
    recovered_at: float | None
    actions: list[str]
    lost_requests: int
    outcome: str
    diagnosis: str
    as_expected: bool = field(default=False)

    def to_plain(self) -> dict[str, Any]:
        """Return it as the command contract's JSON, with what else is known."""
        return asdict(self)


def outcome_of(seen: Seen, recovered_at: float | None) -> str:
    """Return `recovered`, `escalated` or `held`.

    Without an action a deployment that is well again has held; an escalation is a person told
    of a diagnosis that is not merely "the data cannot be believed".
    """
    if seen.applied and recovered_at is not None:
        return "recovered"
    if seen.told_at is not None and seen.family not in {"", "sensor"}:
        return "escalated"
    return "held"


def lost_by_actions(
    log: LoadLog, injected_at: float, faulty: Sequence[str], changes: Sequence[tuple[float, float]]
) -> int:
    """Count requests lost by the controller's own actions.

    A request that failed for good is ours if it failed while a change of ours was being carried
    out (start, end) and none of its attempts went to a replica that the fault had broken.

    Args:
        log: The load generator's log.
        injected_at: When the fault was injected, epoch seconds.
        faulty: Replicas that the fault broke; `*` stands for the whole deployment.
        changes: (start, end) of every change of ours, epoch seconds.
    """
    if "*" in faulty:
        return 0
    return sum(
        1
        for request in log.failed(after=injected_at)
        if any(start <= request.end <= end for start, end in changes)
        and not set(request.replicas) & set(faulty)
        and request.replicas
    )
