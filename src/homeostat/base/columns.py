"""One round of many sources as columns: the same facts as a `SourceReport` of each, and no objects.

For whoever reads hundreds of deployments at once and knows beforehand what may be said. A journal
never holds these: what a controller was told is kept as reports.
"""

from dataclasses import dataclass
from typing import Generic

from homeostat.base.evidence import ArrayT, SeriesKey


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Catalogue(Generic[ArrayT]):
    """All that some sources may ever say; the same object from round to round.

    Attributes:
        series: Key and, of a bucket, its upper bound.
        counts: Whether it is a counter or a bucket. Bool `[series]`
        page: The page it is on, as a place in `pages`. Int64 `[series]`
        pages: Source, deployment and subject.
    """

    series: tuple[tuple[SeriesKey, float | None], ...]
    counts: ArrayT
    page: ArrayT
    pages: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Columns(Generic[ArrayT]):
    """What was said in one round.

    Attributes:
        source: Under which name the places of its series are remembered.
        catalogue: What may be said.
        said: What was, as places in the catalogue, each at most once. Int64 `[said]`
        value: As in `Observation`. Float64 `[said]`
        at: When the world had it. Int64 `[said]`
        epoch: Start of the counting process, NaN for unknown. Float64 `[said]`
        asked: Pages that were asked for, as places in the catalogue. Int64 `[asked]`
        answered: Which of them answered; nothing is said of the others. Bool `[asked]`
    """

    source: str
    catalogue: Catalogue[ArrayT]
    said: ArrayT
    value: ArrayT
    at: ArrayT
    epoch: ArrayT
    asked: ArrayT
    answered: ArrayT
