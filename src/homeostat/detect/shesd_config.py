"""Settings of the streaming Seasonal Hybrid ESD. The detector itself is `detect.shesd`."""

from dataclasses import dataclass

from homeostat.stats.esd import Direction


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings of the stream.

    Attributes:
        direction: Which deviations count.
        alpha: Expected number of false alarms over `horizon` ticks of independent normal noise.
        horizon: Ticks that share `alpha`, as a batch test's points do. The default is a day of
            ticks of 15 s.
        bins: Most places of a seasonal profile that are kept; longer seasons are averaged into
            these. 4 bytes each per series.
        ring: Values from which centre and scale are taken until the first refit. 4 bytes each.
        refresh: Ticks over which the rows take turns in having centre and scale taken anew.
        warmup: Values in the ring before it judges, at least 8.
        max_anoms: Largest share of a refit's points that may be outliers, in (0, 0.49].
        doubt: Values this many standard deviations out do not enter the ring, though they may
            not be alarms: 1 in 2,000 of normal noise.
        window: Most ticks that a refit looks back. The default is two weeks of minutes, the
            published program's piece.
        hints: Seasons to look for first, in ticks: a day, a week. Others are searched for.
        season_alpha: Probability to see a season in a series without one.
    """

    direction: Direction = Direction.BOTH
    alpha: float = 0.05
    horizon: int = 5760
    bins: int = 1440
    ring: int = 256
    refresh: int = 16
    warmup: int = 20
    max_anoms: float = 0.10
    doubt: float = 3.5
    window: int = 20_160
    hints: tuple[int, ...] = ()
    season_alpha: float = 0.001

    def __post_init__(self) -> None:
        """Refuse settings that no stream can have.

        Raises:
            ValueError: Names the setting, its value and the range.
        """
        for name in ("alpha", "season_alpha"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ValueError(f"shesd: {name} must be in (0, 1), got {getattr(self, name)}")
        for name, least in (
            ("horizon", 1),
            ("bins", 2),
            ("refresh", 1),
            ("warmup", 8),
            ("window", 32),
        ):
            if not getattr(self, name) >= least:
                raise ValueError(
                    f"shesd: {name} must be at least {least}, got {getattr(self, name)}"
                )
        if self.ring < self.warmup:
            raise ValueError(f"shesd: ring must hold the warmup of {self.warmup}, got {self.ring}")
        if not 0.0 < self.max_anoms <= 0.49:  # noqa: PLR2004 - a median breaks down at half
            raise ValueError(f"shesd: max_anoms must be in (0, 0.49], got {self.max_anoms}")
        if not self.doubt > 0.0:
            raise ValueError(f"shesd: doubt must be above 0, got {self.doubt}")
        if any(hint < 2 for hint in self.hints):  # noqa: PLR2004 - one tick is no season
            raise ValueError(f"shesd: hints must be at least 2 ticks, got {self.hints}")

    @property
    def bytes_per_series(self) -> int:
        """Memory of one series: profile, ring, and ten numbers of 4 or 8 bytes."""
        return 4 * (self.bins + self.ring) + 8 * 4 + 4 * 4
