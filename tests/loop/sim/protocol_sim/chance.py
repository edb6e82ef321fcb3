"""Chance of one run: every draw from one seed, every fault counted by its name."""

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Final

from protocol_sim.options import Faults
from protocol_sim.senses import METRIC_FAULTS

# What each field of `Faults` is called where faults are counted. `metrics` has names of its own;
# "reordered" is no fault that is drawn: it is seen where an older message arrives after a newer.
KINDS: Final[dict[str, str]] = {
    "crash": "crash",
    "crash_after": "crash after an effect",
    "pause": "pause",
    "steal": "lease stolen",
    "meddle": "foreign write",
    "throw_kill": "kill switch",
    "hide_kill": "kill switch unreadable",
    "request_abort": "abort",
    "reload": "policy reloaded",
    "trouble": "trouble",
    "clock_step": "wall clock stepped",
    "die": "replica died",
    "quarrel": "write reverted by a person",
    "clock_skew": "clock skewed",
    "lost_request": "request lost",
    "lost_reply": "reply lost",
    "delayed": "delayed",
    "duplicated": "request doubled",
    "broken_reply": "reply broken",
    "doubled_reply": "reply doubled",
    "other_reply": "reply for another write",
    "lying_reply": "reply lies",
    "partial": "partly applied",
    "read_failed": "read failed",
    "read_stale": "read stale",
    "read_incomplete": "read incomplete",
    "read_absurd": "read absurd",
    "read_partly": "own values of some unread",
    "flapping": "readiness flaps",
    "disk_full": "disk full",
    "fsync_failed": "fsync failed",
    "torn": "torn write",
    "late_answer": "answer late",
    "doubled_answer": "answer doubled",
}
ALSO: Final = ("claim lost", "reordered")
ALL_KINDS: Final = frozenset({*KINDS.values(), *ALSO, *METRIC_FAULTS})


@dataclass(slots=True)
class Chance:
    """The run's only source of chance."""

    seed: int
    faults: Faults
    rng: Random = field(init=False)
    counts: Counter[str] = field(default_factory=Counter)
    trace: list[str] | None = None  # what happened, where somebody wants to read it

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)

    def hits(self, name: str) -> bool:
        """Return whether a fault happens now; it is counted."""
        if self.rng.random() >= getattr(self.faults, name):
            return False
        self.count(KINDS[name])
        return True

    def count(self, kind: str) -> None:
        self.counts[kind] += 1
        if self.trace is not None:
            self.trace.append(f"      fault: {kind}")
