"""Has a histogram moved: evidence that may be looked at after every tick, and by how much.

Beside the plain answers, and nothing follows from it. Not here: how the evidence is won
(`detect.drift`), and the window's distance that rules read (`detect.shift`).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftTest:
    """What speaks against "events fall as they did", of one histogram on one tick.

    Absence is never zero: what is not known is None.

    Attributes:
        subject: Whose, for example `pool:a`; `model` for features.
        kind: `prediction`, `feature` or `activation`.
        name: Of the feature or the layer; empty for predictions.
        moved: The evidence is what an alarm takes and the size matters; None where nothing can be
            said, and then `why`.
        why: Why nothing can be said, a `Quality`; empty where something is.
        against: The version whose past it is held against; empty where versions share one.
        log10_e: log10 of an e-value against "nothing has moved": 6 is a million to one.
        all_log10_e: The same of all histograms of the kind together: what an alarm goes by.
        among: How many these are.
        total_variation: Share of recent events that would have to move.
        psi: Population stability index; by chance alone it is `psi_by_chance`.
        psi_by_chance: What two samples of these sizes from one distribution have on average.
        gap: Kolmogorov-Smirnov distance: the largest gap of the cumulative shares.
        gap_neg_log10_p: -log10 of its p-value, of this look alone: who looks often believes the
            e-value.
        events: Recent events behind the sizes.
        reference: Events of the past that they are held against.
        bound: Upper bound of the bin at which that gap is.
        share: Of the recent events at or below it.
        share_low, share_high: Where that share lies in the past: an interval that holds at all
            looks, together with those of all other bounds.
        looks: Ticks since the shares moved, where they did.
    """

    subject: str
    kind: str
    name: str
    moved: bool | None
    why: str
    against: str
    log10_e: float | None
    all_log10_e: float | None
    among: int
    total_variation: float | None = None
    psi: float | None = None
    psi_by_chance: float | None = None
    gap: float | None = None
    gap_neg_log10_p: float | None = None
    events: float | None = None
    reference: float | None = None
    bound: float | None = None
    share: float | None = None
    share_low: float | None = None
    share_high: float | None = None
    looks: int | None = None
