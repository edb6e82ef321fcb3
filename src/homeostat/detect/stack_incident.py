"""One alarm an incident: raised at its start, not repeated while it lasts.

An incident starts when evidence reaches `start`, and ends after `quiet` ticks in a row below
`stay`: two levels, so that evidence that wavers about one of them is one incident and not twenty.
Ticks at which nothing is known neither start nor end one. Rows are entities; not here: what the
evidence is, and whose incident it is.
"""

from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings.

    Attributes:
        start: Evidence (-log10 p) that starts an incident, above 0.
        stay: Evidence at or above which it goes on, above 0 and at most `start`.
        quiet: Ticks in a row below `stay` that end it, at least 1.
    """

    start: float
    stay: float
    quiet: int

    def __post_init__(self) -> None:
        """Refuse settings under which an incident could not start or end.

        Raises:
            ValueError: Names the setting, its value and the range.
        """
        if not 0.0 < self.start < float("inf"):
            raise ValueError(f"incident: start must be above 0 and finite, got {self.start}")
        if not 0.0 < self.stay <= self.start:
            raise ValueError(f"incident: stay must be in (0, {self.start}], got {self.stay}")
        if self.quiet < 1:
            raise ValueError(f"incident: quiet must be 1 or more, got {self.quiet}")


class State(NamedTuple):
    """What is remembered of each row.

    Attributes:
        active: An incident lasts, bool `[row]`.
        calm: Ticks in a row below `stay`, float `[row]`.
    """

    active: Any
    calm: Any


def init(xp: ModuleType, rows: int) -> State:
    """Return rows without an incident."""
    return State(active=xp.zeros(rows, dtype=bool), calm=xp.zeros(rows))


def step(
    xp: ModuleType, config: Config, state: State, evidence: Any, start: Any = None
) -> tuple[State, Any]:
    """Move on by one tick.

    Args:
        xp: numpy or jax.numpy.
        config: Settings.
        state: From `init` or the last step.
        evidence: `[row]`; NaN is unknown.
        start: Evidence that starts an incident at this tick instead of `config.start`, above 0,
            one number or `[row]`; where it is less than `config.stay`, an incident goes on from
            there. None: as the settings say.

    Returns:
        The next state, and where an incident starts at this tick, bool `[row]`.
    """
    known = xp.isfinite(evidence)
    sure = xp.where(known, evidence, 0.0)
    level = config.start if start is None else start
    stay = config.stay if start is None else xp.minimum(config.stay, start)
    starts = known & (sure >= level) & ~state.active
    calm = xp.where(sure >= stay, 0.0, state.calm + 1.0)
    calm = xp.where(known, calm, state.calm)
    goes_on = state.active & (calm < config.quiet)
    return State(active=starts | goes_on, calm=xp.minimum(calm, config.quiet + 0.0)), starts


def spoke(state: State, known: Any) -> Any:
    """Return where an incident lasts and this tick's evidence is why, and not an earlier one's.

    Args:
        state: After the tick.
        known: Where its evidence was known, bool `[row]`.

    Returns:
        Bool `[row]`.
    """
    return state.active & known & (state.calm == 0.0)
