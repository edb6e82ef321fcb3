"""What is kept, and how much may happen: the search's options. Each rule can be taken away."""

from dataclasses import dataclass
from typing import Final

from homeostat.loop.protocol import Timing

TIMING: Final = Timing(
    receipt_deadline_ns=1, readiness_deadline_ns=1, verify_ns=1, blind_ns=1, approval_ttl_ns=1,
    readback_deadline_ns=1, quiesce_ns=2, fresh_ns=2, max_conflicts=2, max_undo=1,
)  # fmt: skip
SETTLE: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The protections around the protocol, and the bounds of the search.

    Attributes:
        cas: The target compares tokens and epochs; else it takes whatever comes.
        told_cas: What the protocol believes of it.
        fenced: The journal refuses an append of an older epoch (R1).
        reclaims: Who takes over claims a higher epoch before it reads the journal.
        reads_back: What may be in flight at a takeover is read back before it is written anew.
        quiesces: Without compare-and-set a lost write is believed dead only after the quiet time.
        recounts: At a takeover the quiet time counts from then, whatever the clock before said.
        skew: How far the second controller's clock is ahead.
        takeovers: How often the lead may change hands.
        crashes: How often a controller may lose its memory.
    """

    cas: bool
    told_cas: bool
    fenced: bool = True
    reclaims: bool = True
    reads_back: bool = True
    quiesces: bool = True
    recounts: bool = True
    skew: int = 0
    takeovers: int = 2
    crashes: int = 1
