"""The stack with a level that steers itself: incidents in at most a set share of ticks.

A level of evidence, from a budget or as shipped, is worth what past noise says it is worth. This
one is steered by what it did (adaptive conformal inference, `stats.conformal_adaptive`): after an
incident it asks for more, and at every tick without one for a little less. So how many incidents an
entity tells of in so many ticks is bounded (`Steered.most`) for every series whatever; no law of
the noise and no independence is needed. It is a bound on how often people are asked, real faults
included, and not on how often that is wrong: where faults come more often than the share, the later
and lesser ones are not told of. That is for a person's attention, and so not for a controller.

Adaptive inference also alarms that often where all is well. This does not: the level never falls
below that of a lesser incident, which no share makes worth telling, so that the bound has one side.
"""

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.detect.method import no_levels
from homeostat.detect.stack import Said, Stack, StackConfig, StackState
from homeostat.stats.conformal_adaptive import AdaptiveLevel, Level

MOST: Final = 0.05
"""Largest share: one incident in twenty ticks, which is shorter than an incident lasts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings.

    Attributes:
        share: Of ticks at which an incident may start, in (0, `MOST`]. The level begins there, and
            moves by steps of as much: one incident takes the level away that its share has earned.
        stack: Of the stack.
    """

    share: float
    stack: StackConfig = field(default_factory=StackConfig)

    def __post_init__(self) -> None:
        """Refuse a share that bounds nothing.

        Raises:
            ValueError: Names it and the range.
        """
        if not 0.0 < self.share <= MOST:
            raise ValueError(
                f"share of ticks: must be above 0 and at most {MOST:g}, got {self.share:g}"
            )


class State(NamedTuple):
    """What is remembered.

    Attributes:
        stack: Of the stack; nothing in it depends on the level but which incidents were told of.
        level: Of each entity.
    """

    stack: StackState
    level: Level


class Steered:
    """A method (`detect.method`); see the module.

    Args:
        config: Settings.
    """

    names: Final[tuple[str, ...]] = ()
    least_columns: Final = 1
    columns: Final = None

    def __init__(self, config: Config) -> None:
        self.config = config
        self._stack = Stack(config.stack)
        self._levels = AdaptiveLevel(target=config.share, rate=config.share)

    def init(self, columns: int, *, entities: int = 1) -> State:
        """Return the state of entities that have seen nothing.

        Raises:
            ValueError: There is no column or no entity.
        """
        fresh = self._stack.init(columns, entities=entities)
        return State(stack=fresh, level=self._levels.init(np, entities))

    def step(self, state: State, values: Any, learn: Any, start: Any = None) -> tuple[State, Said]:
        """Judge one tick, then learn from it, and steer.

        Args:
            state: From `init` or the last step.
            values: Float `[entity, column]`; NaN and infinities are unknown.
            learn: As for `Stack.step`.
            start: Must be None: the level is its own.
        """
        no_levels(start, "share of ticks")
        asked = self._levels.evidence(np, state.level)
        after, said = self._stack.step(state.stack, values, learn, asked)
        moved = self._levels.moved(np, state.level, said.alarm, ~said.unknown)
        least = self.config.stack.told(np.shape(values)[1])[1].start
        level = Level(np.minimum(moved.alpha, 10.0**-least))
        return State(stack=after, level=level), said

    def most(self, ticks: int) -> float:
        """Return how many incidents an entity tells of in its first so many ticks at most.

        >>> round(Steered(Config(share=1.0 / 288.0)).most(30 * 288), 6)
        32.0
        """
        return self._levels.most(ticks)
