"""The stack that tells of what comes again, each time.

The shipped stack counts an incident of a single column among what the column does: the second hour
like it is not as rare as the first, and may start no incident. Here an incident's first tick is all
that is learnt of it, so that what comes once in some thousands of ticks is told of each time. The
price is an alarm for each burst that recurs in health (`python -m detection.recurring` prints what
both find and how often they are wrong). Several columns are judged so by both.
"""

from dataclasses import dataclass
from typing import Final

from homeostat.base.part import Part
from homeostat.detect.stack import Stack, StackConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(StackConfig):
    """Settings of the stack, with another default."""

    recurring: bool = True


PART: Final = Part(
    kind="method",
    name="recurring",
    summary="The shipped stack, told of what comes again in one column, too; more false alarms.",
    config=Config,
    build=lambda config, model=None: Stack(config),  # noqa: ARG005 - as every method's
)
