"""Settings of the EWMA chart, checked when they are built. The chart itself is `detect.ewma`."""

from dataclasses import dataclass
from enum import StrEnum


class Side(StrEnum):
    """Which departures count."""

    BOTH = "both"
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings of the EWMA chart. Sigmas are on the normal scale.

    Attributes:
        smoothing: Weight of the newest value in the chart's average, in (0, 1].
        limit_sigmas: Alarm when the average leaves this many of its own sigmas. The default has
            one false alarm per 700,000 independent normal ticks (Markov chain of Brook & Evans).
        spike_sigmas: Alarm when one value leaves this many sigmas; `inf` for never.
        side: Which departures count.
        warmup: Values a baseline must have learnt from before it judges, at least 8.
        skip: First values of a series that are not looked at (a service that is starting).
        adaptive_weight: Weight of the newest value in the baseline that always learns.
        guarded_weight: Weight of the newest value in the baseline that learns only when it may.
        whiten: Remove AR(1) correlation.
        sigma_floor: Smallest spread ever assumed, in the series' unit.
        sigma_floor_relative: The same as a share of the level; covers rounding.
        min_change: Departures from the level smaller than this, in the series' unit, never alarm.
        min_relative_change: The same as a share of the level.
        as_written: Use the textbook chart of HASH, with frozen parameters, instead.
        target: As written only: the known level; None to take the mean of the warm-up.
        sigma: As written only: the known spread; None to take it from the warm-up.
        fixed_limits: As written only: asymptotic limits from the first value on.
    """

    smoothing: float = 0.2
    limit_sigmas: float = 4.8
    spike_sigmas: float = 5.0
    side: Side = Side.BOTH
    warmup: int = 20
    skip: int = 2
    adaptive_weight: float = 0.02
    guarded_weight: float = 0.005
    whiten: bool = True
    sigma_floor: float = 0.0
    sigma_floor_relative: float = 1e-6
    min_change: float = 0.0
    min_relative_change: float = 0.0
    as_written: bool = False
    target: float | None = None
    sigma: float | None = None
    fixed_limits: bool = False

    def __post_init__(self) -> None:
        """Refuse settings that no chart can have.

        Raises:
            ValueError: Names the setting, its value and the range.
        """
        for name in ("smoothing", "adaptive_weight", "guarded_weight"):
            if not 0.0 < getattr(self, name) <= 1.0:
                raise ValueError(f"ewma: {name} must be in (0, 1], got {getattr(self, name)}")
        for name in ("limit_sigmas", "spike_sigmas"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"ewma: {name} must be above 0, got {getattr(self, name)}")
        for name in ("sigma_floor", "sigma_floor_relative", "min_change", "min_relative_change"):
            if not 0.0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"ewma: {name} must be 0 or more, got {getattr(self, name)}")
        if self.warmup < 8 or self.skip < 0:  # noqa: PLR2004 - eight values, see the attribute
            raise ValueError(f"ewma: need warmup >= 8, skip >= 0, got {self.warmup}, {self.skip}")
        if self.sigma is not None and not self.sigma > 0.0:
            raise ValueError(f"ewma: sigma must be above 0, got {self.sigma}")
        if self.as_written and self.side is not Side.BOTH:
            raise ValueError(f"ewma: as_written is two-sided, got side={self.side}")
