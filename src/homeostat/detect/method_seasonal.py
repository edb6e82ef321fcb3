"""The seasonal detector (`detect.seasonal`) as a method: what is said of a row is its own affair.

In a controller rows take turns in searching for a season, so that no tick waits for all; then the
tick at which a season becomes known depends on a row's number. Of a file nothing may depend on the
files beside it: here all rows search in the same tick.
"""

from dataclasses import replace
from typing import Final

from homeostat.base.part import Part
from homeostat.detect.method_rows import Rows
from homeostat.detect.seasonal import Config, SeasonalDetector


def build(config: Config, model: object = None) -> Rows:  # noqa: ARG001 - as every method's
    """Return the method of these settings, but that no row takes turns."""
    own = replace(config, season=replace(config.season, staggered=False))
    return Rows("seasonal", SeasonalDetector(own), own)


PART: Final = Part(
    kind="method",
    name="seasonal",
    summary="What is rare at this hour of a season that is found and learnt tick by tick.",
    config=Config,
    build=build,
)
