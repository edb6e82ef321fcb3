"""Settings of the drift detector (`detect.drift`)."""

from dataclasses import dataclass, field

from homeostat.stats import share_test


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings.

    Attributes:
        test: What is promised.
        distance: Smallest total variation that matters, in [0, 1]. A step of an eighth of a
            standard deviation moves a Gaussian by 0.05.
        reference: Events that a reference needs, above 0.
        events: Recent events without which nothing is called healthy.
        named: False discovery rate of the features that are named, in (0, 1).
        delay: Looks between seeing events and learning from them, at least 0.
        most: Events that a reference keeps, so that slow drift of healthy traffic is followed.
    """

    test: share_test.Config = field(default_factory=share_test.Config)
    distance: float = 0.05
    reference: float = 500.0
    events: float = 100.0
    named: float = 0.05
    delay: int = 8
    most: float = 50_000.0

    def __post_init__(self) -> None:
        """Refuse settings that cannot work.

        Raises:
            ValueError: Names the setting, its value and the range.
        """
        if not 0.0 <= self.distance <= 1.0:
            raise ValueError(f"drift: distance must be in [0, 1], got {self.distance}")
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
