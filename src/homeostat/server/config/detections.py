"""The `detection` section: how often the controller may be wrong that something is wrong, and more.

Without the section an onset begins at one level of evidence a tick, however long a tick is: the
level that was measured in the lab; nothing is tested over the whole fleet, and there is no
autoencoder. Nothing here is a setting of the guards.
"""

from pathlib import Path
from typing import Final, Self

from pydantic import Field, model_validator

from homeostat.server.config.guardrails import Strict
from homeostat.server.config.targets import Name
from homeostat.stats.fdr_budget import MOST

SHARE: Final = 0.05
"""What may be false of what the fleet tells, beside a budget: as in the fleet gate."""


class DetectionSpec(Strict):
    """What begins an onset of a deployment's score, and what else judges a deployment."""

    false_incidents: float | None = Field(
        default=None,
        gt=0.0,
        le=MOST,
        allow_inf_nan=False,
        description="At most so many false incidents of charts and of the score, per 1,000 "
        "signals and day.",
    )

    false_share: float | None = Field(
        default=None,
        gt=0.0,
        lt=1.0,
        allow_inf_nan=False,
        description="Of the deployments that the fleet's tests tell of, the share that may be "
        "false; 0.05 where there is a budget.",
    )

    autoencoders: dict[Name, str] = Field(
        default={},
        max_length=1000,
        description="By deployment: a model that `homeostat detect --train` made of its journal.",
    )

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        asked = (self.false_incidents, self.false_share)
        if asked == (None, None) and not self.autoencoders:
            raise ValueError(
                "says nothing; give falseIncidents, falseShare or autoencoders, or leave it out"
            )
        return self


def autoencoders(spec: DetectionSpec | None, base: Path) -> tuple[tuple[str, Path], ...]:
    """Return each deployment that has a model, with the model's file, sorted.

    Args:
        spec: The section; None for none.
        base: The folder that files are named from.
    """
    wanted = {} if spec is None else spec.autoencoders
    return tuple(sorted((name, base / file) for name, file in wanted.items()))


def budget(spec: DetectionSpec | None) -> float | None:
    """Return the budget, None for the level that is shipped."""
    return None if spec is None else spec.false_incidents


def share(spec: DetectionSpec | None) -> float | None:
    """Return what may be false of what the fleet's tests tell; None where they are not asked for.

    A budget asks for them too: at their own default share.
    """
    if spec is None:
        return None
    if spec.false_share is None and spec.false_incidents is not None:
        return SHARE
    return spec.false_share
