"""What a check of a fit says: plain values, and how they are written down.

How they are worked out is in `check`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from homeostat.twin.fit_predict import LEVELS


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """How often intervals held what was seen, for one group of rows.

    Attributes:
        group: `all`, `above` (the load fitted to), `inside` (the region that was seen), or
            `tenth 1` to `tenth 10` of load.
        low: Lowest load.
        high: Highest load.
        number: Rows.
        shares: Of rows inside, for each of `fit_predict.LEVELS`.
    """

    group: str
    low: float
    high: float
    number: int
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """The check of one signal.

    Attributes:
        name: Of the signal.
        number: Rows compared.
        error: Median relative error, without sign.
        bias: Mean predicted over mean seen, minus 1.
        crps: Continuous ranked probability score of the twin, in the signal's unit.
        persistence: The same of the value 5 minutes before; NaN if not comparable.
        seasonal: The same of the value a day before.
        covers: Coverage.
    """

    name: str
    number: int
    error: float
    bias: float
    crps: float
    persistence: float
    seasonal: float
    covers: tuple[Cover, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What changes of the number of replicas did to a signal.

    Attributes:
        name: Of the signal.
        changes: That could be judged.
        signs: Share of them whose direction was predicted.
        error: Median distance of predicted from observed log ratio after / before.
    """

    name: str
    changes: int
    signs: float
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A whole check.

    Attributes:
        source: The later recording.
        sha256: Its digest.
        rows: Of it.
        outside: Share of rows outside the region that was seen; NaN if not known.
        fitted: Digest of what the fit was fitted to: whose check this is.
        same: It is the very recording that was fitted to: no check at all.
        later: Whether it begins after what was fitted to ended; None if either has no date.
        signals: One for each signal.
        effects: Of actions; empty if the recording has none.
        missed: Where an 80 % interval holds less than 70 % of the rows, one sentence each.
        lacks: Why it could not show that the fit holds, one sentence each.
    """

    source: str
    sha256: str
    rows: int
    outside: float
    fitted: str
    same: bool
    later: bool | None
    signals: tuple[Signal, ...]
    effects: tuple[Effect, ...]
    missed: tuple[str, ...]
    lacks: tuple[str, ...]

    @property
    def good(self) -> bool:
        """True when it could show that the fit fails, and did not."""
        return not self.missed and not self.lacks


def to_plain(found: Check) -> Mapping[str, object]:
    """Return a check as `json` writes it; what is not known is null."""

    def number(value: float) -> float | None:
        return float(f"{value:.6g}") if math.isfinite(value) else None

    return {
        "input": {"source": found.source, "sha256": found.sha256, "rows": found.rows},
        "good": found.good,
        "missed": list(found.missed),
        "lacks": list(found.lacks),
        "later": found.later,
        "fitted_sha256": found.fitted,
        "same_recording": found.same,
        "outside_region": number(found.outside),
        "levels": list(LEVELS),
        "signals": [
            {
                "name": one.name,
                "rows": one.number,
                "median_error": number(one.error),
                "bias": number(one.bias),
                "crps": number(one.crps),
                "crps_persistence": number(one.persistence),
                "crps_seasonal": number(one.seasonal),
                "coverage": [
                    {
                        "group": cover.group,
                        "load": [number(cover.low), number(cover.high)],
                        "rows": cover.number,
                        "shares": [number(share) for share in cover.shares],
                    }
                    for cover in one.covers
                ],
            }
            for one in found.signals
        ],
        "effects": [
            {
                "name": one.name,
                "changes": one.changes,
                "signs": number(one.signs),
                "error": number(one.error),
            }
            for one in found.effects
        ],
    }
