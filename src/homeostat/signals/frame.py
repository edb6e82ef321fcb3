"""What leaves this room on each tick: aligned series, window histograms, and how the pages fare."""

from dataclasses import dataclass

from homeostat.base.evidence import Increments, Quality, Signals
from homeostat.signals.quality import Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Histogram:
    """One histogram's events within its window.

    Attributes:
        deployment: The managed model's name.
        subject: Whose page it is on.
        signal: A raw name from `base.raw`: the prediction, a feature, or an activation.
        bounds: Upper bounds, the last one infinite where the page has it.
        counts: Events per bucket; all NaN where they are not believed.
        quality: Why not.
    """

    deployment: str
    subject: str
    signal: str
    bounds: tuple[float, ...]
    counts: Floats
    quality: Quality


@dataclass(frozen=True, slots=True, kw_only=True)
class PageState:
    """How one metrics page fares.

    Attributes:
        source: Who reads it.
        deployment: The managed model's name.
        subject: What it speaks of.
        quality: GOOD while it is fresh and believed, else why not.
        age_ns: Age of its last believed round.
    """

    source: str
    deployment: str
    subject: str
    quality: Quality
    age_ns: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Frame:
    """One tick of the fleet.

    Attributes:
        signals: Aligned series; NaN where they are not believed, with the reason.
        resolution: Error of each value at most, by its page's buckets. `[series]`
        histograms: Predictions and features, per page.
        invalid: Invalid predictions in the window by deployment and subject; NaN: not believed.
        pages: The metrics pages (probers' and labels' rounds are none).
        increments: What each pool served since the tick before, by deployment (see `signals.arms`).
        fresh: New events of predictions, features and activations, per page, each once (see
            `signals.fresh`).
    """

    signals: Signals[Floats]
    resolution: Floats
    histograms: tuple[Histogram, ...]
    invalid: dict[tuple[str, str], float]
    pages: tuple[PageState, ...]
    increments: dict[str, tuple[Increments, ...]]
    fresh: tuple[Histogram, ...] = ()
