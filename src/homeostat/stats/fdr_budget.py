"""From the budget that people set to the levels that tests use.

People say: at most B false incidents per 1,000 signals and day. Tests want a p-value's level, a run
length between false alarms, or the floor of a decaying false discovery rate. All four are one
number, given how often a signal is tested. An incident is one alarm or a run of them; counting
every alarm as one is the careful reading.
"""

from dataclasses import dataclass
from typing import Final

_SIGNALS: Final = 1000.0
MOST: Final = 500.0
"""Largest budget that people may set: twice that is an alarm a day and signal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """At most so many false incidents.

    Attributes:
        false_incidents: Per 1,000 signals and day.
        tests_per_day: How often one signal is tested in a day, at least 1.
    """

    false_incidents: float
    tests_per_day: float

    def __post_init__(self) -> None:
        """Refuse a budget that no level meets.

        Raises:
            ValueError: Names the setting, its value and the range.
        """
        if not 0.0 < self.false_incidents < float("inf"):
            raise ValueError(
                f"budget: false_incidents must be above 0, got {self.false_incidents}; "
                "no finite sample can promise none"
            )
        if not 1.0 <= self.tests_per_day < float("inf"):
            raise ValueError(f"budget: tests_per_day must be 1 or more, got {self.tests_per_day}")
        if self.level >= 1.0:
            raise ValueError(
                f"budget: {self.false_incidents} false incidents per 1,000 signals and day is an "
                f"alarm at every test ({self.tests_per_day} a day); lower it"
            )

    @property
    def level(self) -> float:
        """The p-value at which one test may alarm.

        >>> round(Budget(false_incidents=1.0, tests_per_day=5760.0).level * 1e7, 3)
        1.736
        """
        return self.false_incidents / (_SIGNALS * self.tests_per_day)

    @property
    def run_length(self) -> float:
        """Mean tests between false alarms of one signal that an e-detector must keep.

        >>> Budget(false_incidents=1.0, tests_per_day=5760.0).run_length
        5760000.0
        """
        return 1.0 / self.level

    def floor(self, *, signals: int, rate: float, memory_ticks: float) -> float:
        """Return `fdr.Config.floor`: the decaying rule then spends the budget when all is well.

        Args:
            signals: Number of signals of the fleet.
            rate: `fdr.Config.rate`.
            memory_ticks: `fdr.Config.memory_ticks`.

        >>> budget = Budget(false_incidents=1.0, tests_per_day=5760.0)
        >>> round(budget.floor(signals=1000, rate=0.05, memory_ticks=5760.0), 6)
        20.0
        """
        return self.level * signals * memory_ticks / rate


def false_incidents(alarms: float, *, signals: int, days: float) -> float:
    """Return false alarms as false incidents per 1,000 signals and day.

    Args:
        alarms: False alarms that were counted.
        signals: Signals that were watched.
        days: For how long.

    Raises:
        ValueError: Nothing was watched.

    >>> false_incidents(6.0, signals=2000, days=3.0)
    1.0
    """
    if not (signals > 0 and days > 0.0):
        raise ValueError(f"need signals and days above 0, got {signals} and {days}")
    return alarms * _SIGNALS / (signals * days)
