"""What a recorded stretch would have been with other replicas: the fitted law on recorded demand.

Of a stretch the demand and the outcome are known; what is asked is the outcome with more capacity.
The fluid flow carries what waits from row to row, the curves say the latency, and the errors that
the fit left on rows it had not seen make it a latency as it is measured. How far the errors of
neighbouring rows go together is measured on the history too: taken for independent they would make
intervals that are much too narrow. Holding is played as well: a law that does not say what was seen
is not believed about what was not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from homeostat.stats.normal import ln_tail
from homeostat.twin import fit_curves, tables
from homeostat.twin.fit_estimate import Known
from homeostat.twin.fit_frame import Floats, Frame
from homeostat.twin.fit_predict import Spread
from homeostat.twin.fit_values import Fit
from homeostat.twin.rehearse_prior import PRIORS

P95: Final = "latency_p95_s"
DRAWS: Final = 200
ENDS: Final = (0.05, 0.5, 0.95)
_SIZES: Final = (64, 256, 1024, 4096)
_MOST_ALIKE: Final = 0.98
_HOLDS: Final = (0.005, 0.995)  # a check at 90 % would throw away every tenth that is right
_OUTSIDE: Final = 0.1
"""Of the rows so many may lie outside what was seen; more, and the answer is of another place."""
_ROUNDING: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Rows from the moment of an action on [m].

    Attributes:
        rate: Requests per second that arrived, all replicas.
        ready: Replicas that served.
        limit: Largest batch.
        late: Whether the p95 was above its limit.
        failing: Whether the promise on errors was missed.
        known: Whether both were seen; rows that are not count nowhere.
        step_s: Seconds of a row.
        promised_s: The limit.
        jobs: Requests in the system when it begins, all replicas.
    """

    rate: Floats = field(repr=False)
    ready: Floats = field(repr=False)
    limit: Floats = field(repr=False)
    late: np.ndarray = field(repr=False)
    failing: np.ndarray = field(repr=False)
    known: np.ndarray = field(repr=False)
    step_s: float
    promised_s: float
    jobs: float

    @property
    def missed(self) -> np.ndarray:
        """Where an objective was seen to be missed [m]."""
        return np.asarray(self.known & (self.late | self.failing))


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is done at the beginning of a stretch.

    Attributes:
        replicas: How many more; fewer are below 0.
        limit: The largest batch, None = as it was.
        after_s: When it is in force, by draw [DRAWS].
    """

    replicas: float
    limit: float | None
    after_s: Floats = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instead:
    """Minutes outside the objectives that a change would have saved; negative = it cost them.

    Attributes:
        low: Lower end; of the truth one in twenty lies below.
        middle: Middle.
        high: Upper end.
        held: Minutes that were really missed.
        said: Lower and upper end of what the law says of holding.
        doubts: Why none of it may be believed, one sentence each; empty = it may be.
    """

    low: float
    middle: float
    high: float
    held: float
    said: tuple[float, float]
    doubts: tuple[str, ...] = ()


def instead(found: Fit, stretch: Stretch, change: Change, *, alike: float, seed: int) -> Instead:
    """Return what a change would have saved.

    Args:
        found: The twin, fitted to the history.
        stretch: From the action on.
        change: The action.
        alike: Correlation of neighbouring rows' errors, from `likeness`.
        seed: Of the draws.
    """
    spread = found.spreads.get(P95)
    if spread is None:
        return _nothing(stretch, "the fit was never compared with latencies")
    none = Change(replicas=0.0, limit=None, after_s=np.zeros(DRAWS))
    chance = np.random.default_rng(seed)
    both = [
        _missed(found, stretch, one, spread, _errors(chance, len(stretch.rate), alike))
        for one in (none, change)
    ]
    held = float(stretch.missed.sum()) * stretch.step_s / 60.0
    low, middle, high = np.quantile(held - both[1], ENDS)
    least, most = np.quantile(both[0], _HOLDS)
    return Instead(
        low=float(low),
        middle=float(middle),
        high=float(high),
        held=held,
        said=(float(least), float(most)),
        doubts=_doubts(found, stretch, change, held, (float(least), float(most))),
    )


def likeness(found: Fit, frame: Frame, expected: Floats) -> float:
    """Return how neighbouring rows' errors go together: their correlation, 0 to almost 1.

    Args:
        found: The fit.
        frame: What it was fitted to.
        expected: What it says of each row's p95 [n].
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.log(frame[P95] / expected)
    use = np.isfinite(error)
    pair = use[1:] & use[:-1] & (np.diff(frame.segment) == 0)
    if int(pair.sum()) < _FEWEST_PAIRS or found.rows < _FEWEST_PAIRS:
        return _MOST_ALIKE
    # Ranks: a single row that is far off must not decide how the others go together.
    rank = np.full(len(error), np.nan)
    rank[use] = np.argsort(np.argsort(error[use]))
    value = float(np.corrcoef(rank[1:][pair], rank[:-1][pair])[0, 1])
    return min(max(value, 0.0), _MOST_ALIKE) if math.isfinite(value) else _MOST_ALIKE


_FEWEST_PAIRS: Final = 40


def _nothing(stretch: Stretch, why: str) -> Instead:
    held = float(stretch.missed.sum()) * stretch.step_s / 60.0
    unknown = math.nan
    return Instead(
        low=unknown, middle=unknown, high=unknown, held=held, said=(unknown, unknown), doubts=(why,)
    )


def _errors(chance: np.random.Generator, rows: int, alike: float) -> Floats:
    """Return ranks of errors that go together as neighbours do, by draw [DRAWS, rows]."""
    normal = chance.standard_normal((DRAWS, rows))
    fresh = math.sqrt(1.0 - alike * alike)
    for row in range(1, rows):
        normal[:, row] = alike * normal[:, row - 1] + fresh * normal[:, row]
    return np.asarray(np.exp(ln_tail(np, -normal)))


def _missed(found: Fit, stretch: Stretch, change: Change, spread: Spread, ranks: Floats) -> Floats:
    """Return the minutes that are missed in each draw [DRAWS]."""
    replicas = _replicas(stretch, change)
    limit = change.limit or float(np.nanmedian(stretch.limit))
    theta = _laws(found, np.random.default_rng(0))
    seconds = _p95(theta, stretch, replicas, limit, found.ca2)
    factor = found.factors[fit_curves.SIGNALS.index(P95)]
    each = stretch.rate / np.maximum(replicas, 1e-9)
    load = each * (theta[:, :1] / limit + theta[:, 1:2])
    seen = seconds * np.exp(factor + _quantile(spread, load, ranks))
    late = seen > stretch.promised_s
    # What failed because it waited does not wait any more; what failed in time goes on failing.
    failing = (stretch.failing & ~stretch.late)[None] | (stretch.failing[None] & late)
    return np.asarray(((late | failing) & stretch.known).sum(axis=1) * stretch.step_s / 60.0)


def _laws(found: Fit, chance: np.random.Generator) -> Floats:
    """Return tau0, alpha and cv2 of each draw [DRAWS, 3]; an unknown cv2 may be any."""
    theta = found.draws[np.arange(DRAWS) % len(found.draws)].copy()
    unknown = ~np.isfinite(theta[:, 2])
    theta[unknown, 2] = PRIORS["cv2"].draw(chance.random(DRAWS))[unknown]
    return np.asarray(theta)


def in_force(found: Fit, most_s: float, seed: int) -> Floats:
    """Return how long a new replica takes until it serves in full, by draw [DRAWS], seconds.

    Args:
        found: The fit, which knows it where it saw replicas start.
        most_s: After which a start that is not over is given up.
        seed: Of what nobody has measured.
    """
    chance = np.random.default_rng([seed, 2])
    each = {}
    for name in ("provision_s", "load_s", "warm_s", "cold_speed"):
        known = found.estimates.get(name)
        if known is not None and known.known is Known.IDENTIFIED:
            each[name] = np.full(DRAWS, known.value)
        else:
            each[name] = PRIORS[name].draw(chance.random(DRAWS))
    starts = np.minimum(each["provision_s"] + each["load_s"], most_s)
    return np.asarray(starts + each["warm_s"] * (1.0 - each["cold_speed"]))


def _replicas(stretch: Stretch, change: Change) -> Floats:
    """Return replicas of each row and draw; a row in which they change has a part of them."""
    begins = stretch.step_s * np.arange(len(stretch.rate))
    share = np.clip(
        (begins[None] + stretch.step_s - change.after_s[:, None]) / stretch.step_s, 0, 1
    )
    return np.asarray(np.maximum(stretch.ready[None] + change.replicas * share, 0.0))


def _quantile(spread: Spread, load: Floats, ranks: Floats) -> Floats:
    """Return the error of each row's load at its rank."""
    out = np.zeros_like(ranks)
    group = spread.group(load)
    for number, errors in enumerate(spread.errors):
        here = group == number
        out[here] = np.quantile(np.asarray(errors), ranks[here])
    return out


def _p95(theta: Floats, stretch: Stretch, replicas: Floats, limit: float, ca2: float) -> Floats:
    """Return the law's p95 of each draw and row [DRAWS, m], seconds."""
    rows = len(stretch.rate)
    size = next((n for n in _SIZES if n >= rows), rows)
    rate = np.zeros(size)
    rate[:rows] = np.nan_to_num(stretch.rate)
    count = np.ones((DRAWS, size))
    count[:, :rows] = np.maximum(replicas, 1e-3)
    usual = max(float(np.median(replicas)), 1.0)
    found = _compiled(stretch.step_s)(
        _curves(),
        jnp.asarray(theta, jnp.float32),
        jnp.asarray(rate, jnp.float32),
        jnp.asarray(count, jnp.float32),
        jnp.float32(stretch.jobs),
        jnp.float32(limit),
        jnp.float32(1.0 + (ca2 - 1.0) / usual),
    )
    return np.asarray(found, float)[:, :rows]


@cache
def _curves() -> tables.Tables:
    return tables.load()


@cache
def _compiled(step_s: float) -> Any:
    course = partial(_course, step_s)
    return jax.jit(jax.vmap(course, in_axes=(None, 0, None, 0, None, None, None)))


def _course(
    step_s: float,
    curves: tables.Tables,
    theta: Array,
    rate: Array,
    count: Array,
    jobs: Array,
    limit: Array,
    ca2: Array,
) -> Array:
    row = curves.row(theta[0], theta[1], limit, theta[2], ca2)

    def one(total: Array, given: tuple[Array, Array]) -> tuple[Array, Array]:
        asked, there = given
        each = row.next_jobs(total / there, asked / there, step_s)
        return each * there, row.quantiles(each)[2]

    _, seconds = jax.lax.scan(one, jobs, (rate, count))
    return seconds


def _doubts(
    found: Fit, stretch: Stretch, change: Change, held: float, foreseen: Sequence[float]
) -> tuple[str, ...]:
    """Return why it may not be believed."""
    doubts = []
    if found.unit != "request":
        doubts.append(f"the twin was fitted to {found.unit}s, and plays requests")
    if not foreseen[0] - stretch.step_s / 60.0 <= held <= foreseen[1] + stretch.step_s / 60.0:
        doubts.append(
            f"the fitted law says {foreseen[0]:.0f} to {foreseen[1]:.0f} minutes were missed, "
            f"{held:.0f} were: more than load was wrong"
        )
    strange = _outside(found, stretch, change)
    if strange:
        doubts.append(strange)
    return tuple(doubts)


def _outside(found: Fit, stretch: Stretch, change: Change) -> str:
    """Return a sentence if the change leads where the deployment was never seen.

    More load than was seen at so many replicas may meet a limit that they share; less meets none.
    """
    if found.region is None:
        return "the fit knows no region"
    limit = change.limit or float(np.nanmedian(stretch.limit))
    if change.limit is not None and limit > math.ceil(found.region.batch[1]):
        return f"it never saw batches of {limit:.3g} (seen: to {found.region.batch[1]:.3g})"
    count = np.rint(stretch.ready + change.replicas)
    use = stretch.known & (count >= 1)
    load = stretch.rate[use] / count[use]
    load *= float(found.theta[0]) / limit + float(found.theta[1])
    seen = {n: found.region.highest(int(n)) for n in np.unique(count[use])}
    most = np.array([seen[n] for n in count[use]])
    beyond = ~(load <= most * (1.0 + _ROUNDING))
    if beyond.sum() <= _OUTSIDE * use.sum():
        return ""
    worst = int(np.flatnonzero(beyond)[np.argmax(load[beyond])])
    at = "never at all" if math.isnan(most[worst]) else f"at {most[worst]:.0%} at most"
    return (
        f"it never saw {count[use][worst]:.0f} replicas at {load[worst]:.0%} of their capacity "
        f"({at})"
    )
