"""Anytime-valid tests of objectives: how much speaks against "the promise is kept", since when.

`detect.slo` compares the last few scrapes with the limit: one bad window is a breach, and a ratio
of few requests is unknown for ever. Here every tick's own counts are a bet against the promise
(`stats.edetector`): of the requests answered since the tick before, the share that failed
(promised: at most the error ratio), and the share that took longer than the promised 95th
percentile (promised: at most one in twenty). Weak evidence that repeats adds up, and the answer may
be looked at after every tick: while the promise is kept there is one false alarm in `run_length`
ticks at most, on average.

What is kept: given all before, the chance that a request of a tick fails (is slow) is at most what
was promised. A stretch in which it is higher is a breach of this, however well it is made up for
later; who wants the balance of a month reads the error budget.

Beside it stands where the share that is bad lies: a confidence sequence (`stats.confseq`) of the
ticks' shares, each tick alike however many requests it had, while their mean stays the same. When
no mean fits all ticks and the last ones any more it has moved, and what is told is of the last ones
alone. A large move is told after a hundred ticks or so; until then the interval is of both.

Tested where the deployment's requests are counted (`Increments` without a pool), never on readings
that overlap from tick to tick. A latency limit that is no bound of the gateway's histogram is
tested at the next bound above it: who is slower than that is slower than the limit too. Accuracy is
tested where labels are delivered to the controller, which then counts each prediction once, when
its label becomes known; a ratio that another source tells over a window of its own has no counts.
Labels that come sooner for right answers than for wrong ones break "given all before".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from homeostat.base import names
from homeostat.base.evidence import Increments
from homeostat.base.policy import Managed
from homeostat.base.promise import PromiseTest
from homeostat.base.units import TimeNs
from homeostat.stats import confseq, edetector, fdr_budget

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Requests that may be slower than a 95th percentile.
_SLOWER: Final = 0.05
_NEVER: Final = -1
# Ticks after which the sequence of the last ones begins anew: 16 minutes of ticks of 15 s.
_LATELY: Final = 64
# Chance that a level is ever outside of its interval.
_OUTSIDE: Final = 0.05
_USUAL: Final = fdr_budget.Budget(false_incidents=1.0, tests_per_day=5760.0)

Key = tuple[str, str]  # deployment and signal


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings.

    Attributes:
        run_length: Ticks of a promise that is kept between two false alarms, on average and at
            least. The default is one in a thousand days of ticks of 15 s.
    """

    run_length: float = _USUAL.run_length


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PromisesState:
    """What is remembered of each promise.

    Attributes:
        keys: Which promises.
        limits: What was promised, by which a changed promise is known. `[promise]`
        won: By the bets of each size. `[bet, promise]`
        since: Tick time since when evidence speaks against it, -1 where it does not. `[promise]`
        tests: Ticks that were counted. `[promise]`
        level: Where the mean share that is bad lies, since it moved last. `[promise]` each.
        lately: The same of the last ticks, fewer than `_LATELY`.
    """

    keys: tuple[Key, ...]
    limits: Floats
    won: Floats
    since: Ints
    tests: Ints
    level: confseq.Sequence
    lately: confseq.Sequence


class _Row(NamedTuple):
    """One promise on one tick: its limit, the share that may be bad, and the share that was."""

    key: Key
    limit: float
    level: float
    bad: float


class Promises:
    """See the module; pure, promises are independent of each other.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config | None = None) -> None:
        self.config = Config() if config is None else config
        # CUSUM keeps the best start, so that since when is a question with an answer.
        kind = edetector.Kind.CUSUM
        self._bets = edetector.EDetector(
            edetector.Config(run_length=self.config.run_length, kind=kind)
        )
        self._levels = confseq.MeanSequence(_OUTSIDE)

    def init(self) -> PromisesState:
        """Return the state before any promise."""
        none = np.zeros(0)
        no = np.zeros(0, dtype=np.int64)
        won = np.zeros((edetector.BOUNDED_BETS, 0))
        level = self._levels.init(np, 0)
        return PromisesState(
            keys=(), limits=none, won=won, since=no, tests=no, level=level, lately=level
        )

    def step(
        self,
        state: PromisesState,
        managed: Sequence[Managed],
        increments: Mapping[str, Sequence[Increments]],
        now: TimeNs,
    ) -> tuple[PromisesState, dict[str, tuple[PromiseTest, ...]]]:
        """Bet on one tick.

        Args:
            state: From `init` or the last step.
            managed: The deployments.
            increments: By deployment, what was served since the tick before.
            now: The tick's time.

        Returns:
            The next state, and the tests by deployment; none where nothing is counted.
        """
        rows = [
            row
            for entry in managed
            for one in increments.get(entry.name, ())
            if not one.pool
            for row in _rows(entry, one)
        ]
        if not rows:
            return state, {}
        state = _kept(state, tuple(row.key for row in rows), np.array([row.limit for row in rows]))
        bad = np.array([row.bad for row in rows])
        factors = edetector.bounded_bets(np, bad, np.array([row.level for row in rows]))
        bets, heard = self._bets.step(np, edetector.Evidence(state.won), factors)
        evidence = np.maximum(bets.won.mean(axis=0), 1.0)
        counted = np.isfinite(factors).all(axis=0)  # more that failed than were answered is none
        begun = np.where(state.since == _NEVER, now, state.since)
        level, lately = self._followed(state, np.where(counted, bad, np.nan))
        after = PromisesState(
            keys=state.keys,
            limits=state.limits,
            won=bets.won,
            since=np.where(evidence > 1.0, begun, _NEVER),
            tests=state.tests + counted,
            level=level,
            lately=lately,
        )
        out: dict[str, tuple[PromiseTest, ...]] = {}
        for at, row in enumerate(rows):
            deployment, signal = row.key
            since = int(after.since[at])
            test = PromiseTest(
                subject=names.MODEL if signal == names.ACCURACY else names.GATEWAY,
                signal=signal,
                limit=row.limit,
                broken=bool(heard.alarm[at]) if counted[at] else None,
                log10_e=float(np.log10(evidence[at])),
                since=None if since == _NEVER else TimeNs(since),
                tests=int(after.tests[at]),
                share_low=float(after.level.low[at]),
                share_high=float(after.level.high[at]),
                share_tests=int(after.level.count[at]),
            )
            out[deployment] = (*out.get(deployment, ()), test)
        return after, out

    def _followed(
        self, state: PromisesState, bad: Floats
    ) -> tuple[confseq.Sequence, confseq.Sequence]:
        """Return the levels after one tick, of all ticks and of the last ones.

        Where no mean fits both, the share has moved, and is known by the last ones alone.
        """
        levels = self._levels
        level, lately = levels.step(np, state.level, bad), levels.step(np, state.lately, bad)
        moved = np.maximum(level.low, lately.low) > np.minimum(level.high, lately.high)
        if moved.any():
            level = _chosen(moved, lately, level)
            none = level.low > level.high  # it moved within the last ones
            level = levels.restart(np, level, none) if none.any() else level
        full = moved | (lately.count >= _LATELY)
        return level, levels.restart(np, lately, full) if full.any() else lately


def _rows(entry: Managed, one: Increments) -> list[_Row]:
    """Return the promises of a deployment that its counts can be asked about."""
    promised, out = entry.objective, []
    answered = one.answered or 0.0
    if 0.0 < promised.error_ratio < 1.0:
        failed = np.nan if one.failed is None or answered <= 0.0 else one.failed / answered
        key = (entry.name, names.ERROR_RATIO)
        out.append(_Row(key, promised.error_ratio, promised.error_ratio, failed))
    if promised.accuracy is not None and 0.0 < promised.accuracy < 1.0:
        key = (entry.name, names.ACCURACY)
        out.append(_Row(key, promised.accuracy, 1.0 - promised.accuracy, _wrong(one)))
    if one.timed and promised.latency_p95_ms > 0.0:
        slow = _slower(one, answered, promised.latency_p95_ms)
        out.append(_Row((entry.name, names.LATENCY_P95), promised.latency_p95_ms, _SLOWER, slow))
    return out


def _wrong(one: Increments) -> float:
    """Return the share of newly labelled predictions that were wrong; NaN where none was."""
    if not one.labelled or one.right is None:
        return np.nan
    return 1.0 - one.right / one.labelled


def _slower(one: Increments, answered: float, limit_ms: float) -> float:
    """Return the share that surely took longer than the limit; NaN where nobody knows."""
    above = [within for bound, within in one.latency if limit_ms <= bound < np.inf]
    if not above or answered <= 0.0:
        return np.nan
    return max(answered - above[0], 0.0) / answered


def _kept(state: PromisesState, keys: tuple[Key, ...], limits: Any) -> PromisesState:
    """Return the state of these promises; one that is new, or says something else, begins anew."""
    if keys == state.keys and np.array_equal(limits, state.limits):
        return state
    at = {key: place for place, key in enumerate(state.keys)}
    won = np.zeros((edetector.BOUNDED_BETS, len(keys)))
    since, tests = np.full(len(keys), _NEVER, dtype=np.int64), np.zeros(len(keys), dtype=np.int64)
    came = np.full(len(keys), _NEVER, dtype=np.int64)
    for place, (key, limit) in enumerate(zip(keys, limits.tolist(), strict=True)):
        was = at.get(key)
        if was is not None and state.limits[was] == limit:
            came[place] = was
            won[:, place], since[place] = state.won[:, was], state.since[was]
            tests[place] = state.tests[was]
    return PromisesState(
        keys=keys,
        limits=limits,
        won=won,
        since=since,
        tests=tests,
        level=_taken(state.level, came),
        lately=_taken(state.lately, came),
    )


def _taken(before: confseq.Sequence, came: Ints) -> confseq.Sequence:
    """Return sequences from these places, and ones that know nothing for -1."""
    fresh = confseq.MeanSequence(_OUTSIDE).init(np, len(came))
    known = came != _NEVER
    if not known.any():
        return fresh
    place = np.maximum(came, 0)
    return _chosen(known, confseq.Sequence(*(part[place] for part in before)), fresh)


def _chosen(
    rows: npt.NDArray[np.bool_], yes: confseq.Sequence, no: confseq.Sequence
) -> confseq.Sequence:
    """Return sequences that are those of `yes` in these rows, and of `no` in the others."""
    return confseq.Sequence(
        *(np.where(rows, ours, theirs) for ours, theirs in zip(yes, no, strict=True))
    )


STATE_CLASSES: Final = (PromisesState, confseq.Sequence)
"""What `stats.arrays.from_bytes` must know to read this part's state."""
