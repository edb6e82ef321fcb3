"""Settings of the drift detector (`detect.drift`)."""

from dataclasses import dataclass, field
from typing import Final

from homeostat.stats import share_test

OUTCOME: Final = "outcome"
"""The kind of histogram that counts right and wrong predictions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings.

    Attributes:
        test: What is promised.
        distance: Smallest total variation that matters, in [0, 1]. A step of an eighth of a
            standard deviation moves a Gaussian by 0.05.
        outcome_distance: The same for the kind "outcome", bins of right and wrong predictions:
            two more wrong in a hundred matter.
        reference: Events that a reference needs, above 0.
        events: Recent events without which nothing is called healthy.
        named: False discovery rate of the features that are named, in (0, 1).
        delay: Looks between seeing events and learning from them, at least 0.
        most: Events that a reference keeps, so that slow drift of healthy traffic is followed.
    """

    test: share_test.Config = field(default_factory=share_test.Config)
    distance: float = 0.05
    outcome_distance: float = 0.02
    reference: float = 500.0
    events: float = 100.0
    named: float = 0.05
    delay: int = 8
    most: float = 50_000.0

    def least(self, kind: str) -> float:
        """Return the smallest total variation that matters in a family of this kind."""
        return self.outcome_distance if kind == OUTCOME else self.distance

    def __post_init__(self) -> None:
        """Refuse settings that cannot work.

        Raises:
            ValueError: Names the setting, its value and the range.
        """
        for name in ("distance", "outcome_distance"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"drift: {name} must be in [0, 1], got {getattr(self, name)}")
        if not 0.0 < self.reference <= self.most:
            raise ValueError(
                f"drift: reference must be above 0 and at most `most` ({self.most:g}), "
                f"got {self.reference}"
            )
        if not 0.0 < self.named < 1.0:
            raise ValueError(f"drift: named must be in (0, 1), got {self.named}")
        if self.delay < 0 or not self.events >= 0.0:
            raise ValueError(
                f"drift: delay and events must be 0 or more, got {self.delay}, {self.events}"
            )
