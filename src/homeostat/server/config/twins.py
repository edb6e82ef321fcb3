"""The `twin` section: the fit that actions are rehearsed with, and how far it is believed.

Without the section there is no twin: nothing is rehearsed, and the guards alone decide.
"""

import math
from pathlib import Path
from typing import Final

from pydantic import Field, field_validator

from homeostat.base.policy import TwinPolicy
from homeostat.base.units import HOUR, MINUTE, SECOND
from homeostat.server.config.guardrails import Strict
from homeostat.server.config.units import Duration
from homeostat.server.plan import TwinPlan
from homeostat.twin.rehearse_prior import PRIORS

_AT_ONCE: Final = 8  # draws are played in groups of so many
_MONTH_NS: Final = 30 * 24 * HOUR
_Range = float | tuple[float, float]


class TwinSpec(Strict):
    """A fitted twin, in which actions are rehearsed before they may touch the deployment."""

    fit: str = Field(min_length=1, max_length=4096, description="Written by `twin fit`.")
    check: str | None = Field(
        default=None,
        max_length=4096,
        description="What `twin check --output json` printed; without it the twin is not trusted.",
    )
    max_age: Duration = Field(default=_MONTH_NS, description="An older fit is not trusted.")
    horizon: Duration = Field(
        default=5 * MINUTE, description="How far to look; more if a candidate needs longer."
    )
    draws: int = Field(default=64, ge=_AT_ONCE, le=512, multiple_of=_AT_ONCE, strict=True)
    deadline: Duration = Field(
        default=10 * SECOND, description="An answer that takes longer is unknown."
    )
    good_for: Duration = Field(
        default=30 * SECOND, description="How long an answer holds for its decision."
    )
    assume: dict[str, _Range] = Field(
        default_factory=dict,
        max_length=len(PRIORS),
        description="A number, or [low, high], instead of a prior range.",
    )

    @field_validator("assume")
    @classmethod
    def _known_and_possible(cls, assume: dict[str, _Range]) -> dict[str, _Range]:
        for name, given in assume.items():
            if name not in PRIORS:
                raise ValueError(f"nothing is called {name!r}; one of {', '.join(PRIORS)}")
            low, high = _ends(given)
            if not (math.isfinite(low) and math.isfinite(high) and 0.0 <= low <= high):
                raise ValueError(f"{name}: {given!r} is no range; write [low, high] from 0 on")
        return assume

    @field_validator("horizon")
    @classmethod
    def _within_an_hour(cls, horizon: int) -> int:
        if not SECOND <= horizon <= HOUR:
            raise ValueError("must be between 1s and 1h")
        return horizon


def _ends(given: _Range) -> tuple[float, float]:
    return given if isinstance(given, tuple) else (given, given)


def policy(spec: TwinSpec | None) -> TwinPolicy | None:
    """Return what the core knows of a twin."""
    if spec is None:
        return None
    return TwinPolicy(
        draws=spec.draws,
        horizon_ns=spec.horizon,
        deadline_ns=spec.deadline,
        good_ns=spec.good_for,
    )


def plan(spec: TwinSpec | None, base: Path, cache: Path) -> TwinPlan | None:
    """Return what the twin's worker is started with.

    Args:
        spec: The section; None = no twin.
        base: Folder that relative paths start from.
        cache: Folder of compiled programs.
    """
    if spec is None:
        return None
    return TwinPlan(
        fit=base / spec.fit,
        check=None if spec.check is None else base / spec.check,
        oldest_ns=spec.max_age,
        draws=spec.draws,
        assume=tuple((name, *_ends(given)) for name, given in sorted(spec.assume.items())),
        cache=cache,
    )
