"""What is asked of a fit, and what it says: plain values.

How they are worked out is in `fit`; how they are written down in `fit_file`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from homeostat.twin import fit_refine
from homeostat.twin.fit_estimate import Estimate, Known
from homeostat.twin.fit_frame import Floats
from homeostat.twin.fit_plan import Plan
from homeostat.twin.fit_predict import Spread
from homeostat.twin.fit_region import Region
from homeostat.twin.fit_window import UNDATED, Window

KEPT_DRAWS: Final = 200
HORIZON_S: Final = 300.0  # of the naive forecasts that the twin is compared with
BEYOND: Final = (
    "behaviour above the highest load seen",
    "timeouts and cancellation",
    "capacity of a variant without traffic",
    "limits that replicas share",
    "drift of answers without labels",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What is asked beside the recording.

    Attributes:
        p99_s: Promised latency; None = nothing is planned.
        demand_rps: A demand to plan for beside the observed peak.
        batch_limit: Largest batch, where the recording does not say; None = the largest seen.
        usd_per_hour: Price of a replica.
        seed: Equal seeds give equal fits.
    """

    p99_s: float | None = None
    demand_rps: float | None = None
    batch_limit: float | None = None
    usd_per_hour: float | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LawNotes:
    """What the regression found, for people and pictures.

    Attributes:
        by_throughput: Rows are throughput beside running, not times of batches.
        rows: That say something of the law.
        r2: Share of the variance that it explains.
        variation: Largest batch over the smallest.
        limited: Share of rows whose weight was cut.
        block: Rows of a bootstrap block.
        gamma: Seconds that each waiting request adds to a batch.
        batch: Some of the rows' batches.
        seen: What was observed there.
    """

    by_throughput: bool
    rows: int
    r2: float
    variation: float
    limited: float
    block: int
    gamma: Estimate
    batch: tuple[float, ...]
    seen: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A twin fitted to a recording.

    Attributes:
        source: The recording's name.
        sha256: Its digest.
        unit: What is served, `request` or `token`.
        rows: Of the recording.
        span_s: How long it lasts.
        step_s: Usual step.
        estimates: By name, in the order in which people are told.
        draws: tau0, alpha, cv2 as they may also be, jointly [draws, 3].
        batch_limit: Largest batch.
        law: The regression; None where only latencies were recorded.
        factors: Log of what each of `fit_curves.SIGNALS` is over the curves; 0 if not refined [4].
        refined: Rows that refined the law; 0 if none did.
        spreads: Predictive errors by signal.
        naive: The same of the naive forecast: logs of seen / seen `HORIZON_S` before.
        region: Where the deployment was seen.
        plans: For the observed peak, and for the demand that was asked for.
        notes: What people should know.
        window: When the recording was made; the end is the fit's date.
    """

    source: str
    sha256: str
    unit: str
    rows: int
    span_s: float
    step_s: float
    estimates: Mapping[str, Estimate]
    draws: Floats = field(repr=False)
    batch_limit: float
    law: LawNotes | None
    factors: tuple[float, ...]
    refined: int
    spreads: Mapping[str, Spread]
    naive: Mapping[str, Spread]
    region: Region | None
    plans: tuple[Plan, ...]
    notes: tuple[str, ...]
    window: Window = UNDATED

    @property
    def theta(self) -> Floats:
        """tau0, alpha, cv2; cv2 is NaN if it is not known [3]."""
        return np.asarray([self.estimates[name].value for name in fit_refine.NAMES])

    @property
    def ca2(self) -> float:
        """Variation of arrivals as the curves use it: 1 (Poisson) where it is not known."""
        found = self.estimates["ca2"]
        return found.value if found.known in {Known.IDENTIFIED, Known.WEAK} else 1.0
