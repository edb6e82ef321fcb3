"""Is a promise broken: evidence that may be looked at after every tick.

Beside the plain answer (is the last value beyond the limit), which it never hides. Not here: how
the evidence is won (`detect.slo_evidence`).
"""

from dataclasses import dataclass

from homeostat.base.units import TimeNs


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseTest:
    """What speaks against "this objective is kept", of one objective on one tick.

    Attributes:
        subject: Whose objective, for example `gateway`.
        signal: A name from `base.names`.
        limit: What was promised, in the signal's unit.
        broken: The evidence has reached what an alarm takes, and has not lost it again; None where
            nothing was counted on this tick.
        log10_e: log10 of the evidence, an e-value: 6 is a million to one against the promise. At
            most one above what an alarm takes.
        since: Since when the evidence speaks against the promise; None where it does not.
        tests: Ticks that were counted since the promise was last changed.
        share_low: Where the mean share of a tick's requests (of labelled predictions, for accuracy)
            that break it lies at least, as a confidence sequence: 95 %, whenever one looks.
        share_high: Where it lies at most.
        share_tests: Ticks behind the two, since that share is known to have moved last.
    """

    subject: str
    signal: str
    limit: float
    broken: bool | None
    log10_e: float
    since: TimeNs | None
    tests: int
    share_low: float = 0.0
    share_high: float = 1.0
    share_tests: int = 0
