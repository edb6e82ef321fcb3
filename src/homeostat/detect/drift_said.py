"""What the drift detector (`detect.drift`) is given, and what it says."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from homeostat.base.evidence import Quality, Verdict

Floats = npt.NDArray[np.float64]


class Page(Protocol):
    """New events of one histogram since the last look, of all believed replicas together.

    `kind` is "prediction", "feature", "activation", "outcome" or another word; `version` the one
    that runs, or "" where versions share (features); `counts` per bin of `bounds`.
    """

    @property
    def deployment(self) -> str: ...  # noqa: D102 - see the class
    @property
    def version(self) -> str: ...  # noqa: D102 - see the class
    @property
    def kind(self) -> str: ...  # noqa: D102 - see the class
    @property
    def name(self) -> str: ...  # noqa: D102 - see the class
    @property
    def bounds(self) -> tuple[float, ...]: ...  # noqa: D102 - see the class
    @property
    def counts(self) -> Floats: ...  # noqa: D102 - see the class
    @property
    def quality(self) -> Quality: ...  # noqa: D102 - see the class


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One histogram.

    What is not known is None, and never zero; sizes are known of enough recent events alone.

    Attributes:
        name: Of the prediction, feature or activation.
        verdict: Three answers.
        quality: Why it is unknown, if it is.
        against: The version whose reference it is held against; empty if there is none.
        log10_e: log10 of an e-value against "nothing has moved"; None without events.
        total_variation: Share of recent events that would have to move.
        psi: Population stability index.
        psi_by_chance: What it is on average if nothing moved.
        gap: Largest gap of the cumulative shares.
        events: Recent events behind the sizes, None where there is nothing to hold them against.
        reference: Events that they are held against.
        bound: Upper bound of the bin at which the gap is.
        share: Of recent events at or below it.
        share_low, share_high: Where the reference's lies, at all bounds and looks together.
        since: Looks since the shares moved, None unless anomalous.
    """

    name: str
    verdict: Verdict
    quality: Quality
    against: str = ""
    log10_e: float | None = None
    total_variation: float | None = None
    psi: float | None = None
    psi_by_chance: float | None = None
    gap: float | None = None
    events: float | None = None
    reference: float | None = None
    bound: float | None = None
    share: float | None = None
    share_low: float | None = None
    share_high: float | None = None
    since: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """The histograms of one kind of one version.

    Attributes:
        deployment: The managed model's name.
        version: The version; empty where versions share.
        kind: "prediction", "feature", "activation", ...
        verdict: Three answers.
        neg_log10_p: Evidence of all together, None when unknown.
        judged: One entry per histogram, by name.
    """

    deployment: str
    version: str
    kind: str
    verdict: Verdict
    neg_log10_p: float | None
    judged: tuple[Judged, ...]
