"""The `detection` section: how often the controller may be wrong that something is wrong.

Without the section an onset begins at one level of evidence a tick, however long a tick is: the
level that was measured in the lab. Nothing here is a setting of the guards.
"""

from pydantic import Field

from homeostat.server.config.guardrails import Strict
from homeostat.stats.fdr_budget import MOST


class DetectionSpec(Strict):
    """What begins an onset of a deployment's score."""

    false_incidents: float = Field(
        gt=0.0,
        le=MOST,
        allow_inf_nan=False,
        description="At most so many false onsets of the score per 1,000 signals and day.",
    )


def budget(spec: DetectionSpec | None) -> float | None:
    """Return the budget, None for the level that is shipped."""
    return None if spec is None else spec.false_incidents
