"""Settings of the change detector (`detect.changepoint`)."""

from dataclasses import dataclass, field

from homeostat.stats import changes, conformal, whiten


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings.

    Attributes:
        run_length: Mean ticks between false alarms of one series, at least. The default is one
            false incident per 1,000 signals and day at a tick of 15 s (`stats.fdr_budget`).
        lasting: Ticks that a change lasts at least; what is shorter is a spike.
        settle: Ticks after an alarm before a new level is taken for normal, at least twice the
            model's warm-up; longer while the level still moves.
        fade: Share of evidence lost a tick; see `stats.changes`.
        model: How values are predicted. Slower than the usual: with a weight of 0.01 the estimated
            correlation of an AR(1) of 0.9 wanders enough to break a promise of 100,000 ticks.
        table: How many past errors are kept.
    """

    run_length: float = 5_760_000.0
    lasting: float = 10.0
    settle: int = 60
    fade: float = 0.05
    model: whiten.Config = field(default_factory=lambda: whiten.Config(weight=0.003))
    table: conformal.Config = field(default_factory=conformal.Config)

    def __post_init__(self) -> None:
        """Refuse settings that cannot work.

        Raises:
            ValueError: Names the setting, its value and the range.
        """
        self.evidence()
        if self.settle < 2 * self.model.warmup:
            raise ValueError(
                f"changepoint: settle must be twice model.warmup ({self.model.warmup}) or more, "
                f"got {self.settle}"
            )
        if self.settle - self.model.warmup > self.table.size:
            raise ValueError(
                f"changepoint: settle must be at most model.warmup + table.size "
                f"({self.model.warmup} + {self.table.size}), got {self.settle}"
            )

    def evidence(self) -> changes.Config:
        """Return the settings of the evidence."""
        return changes.Config(run_length=self.run_length, lasting=self.lasting, fade=self.fade)
