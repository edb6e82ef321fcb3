"""Change points: has the level or the spread of a series changed for good, and since when?

One alarm per change, at the moment it is sure; then, when the new level has stood for a while, it
is the baseline: who treats every value beyond the old one as news alerts for weeks. In detail:

* Each value's prediction error (`stats.whiten`) is ranked among the series' own past errors, in
  four directions: too high, too low, too far out (more spread), too far in (less spread).
* Bets on these p-values add up to evidence with a promised run length (`stats.changes`), whatever
  the law of the noise; a spike cannot win enough.
* From the alarm on a second model learns the new level beside the old one. If values come back to
  the old level meanwhile, that stays the baseline, and nothing else is said. If they have stayed
  for `settle` ticks and move no more, the new one takes over, and `news` says so once: whoever
  keeps a baseline of that row should start it anew.

What is remembered is guarded: nothing is learnt while evidence is up, nor where the caller says so.
Not here: seasons (feed it what a seasonal profile leaves), and whether a change is bad.
"""

import math
from types import ModuleType
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
from typing_extensions import override

from homeostat.base.part import Part
from homeostat.base.ports import Detector, DetectorOutput
from homeostat.detect.changepoint_config import Config
from homeostat.stats import changes, conformal, whiten

PartT = TypeVar("PartT", bound=tuple[Any, ...])
HIGHER, LOWER, WIDER, NARROWER = range(4)
"""What `News.look` says has changed."""
# Evidence that stops learning. Its mean while all is well is 1 / fade = 20, so by Markov at most
# one tick in fifty teaches nothing; an alarm's is in the millions.
_DOUBT: Final = 1000.0
# ... but a table below this size always learns: were it not to, a few errors that happen to be
# small would stay the measure of all that follow, and it is only fair while all errors enter.
_YOUNG: Final = 128
# Ticks that an error waits before it enters the table; from the first rare value to doubt takes
# about as many.
_DELAY: Final = 8
# Mean of the new model's errors in its standard errors beyond which the level still moves: by
# chance in one settled change of 400.
_MOVING_SIGMAS: Final = 3.0
# p-values of an unchanged series average 0.5; after a level change of one deviation, or of spread
# to half or twice, it is 0.24 to 0.3. A fading average of 24 has a standard error of 0.04.
_FAR: Final = 0.25
_AWAY: Final = 0.3  # neither there nor back is not settled
_BACK: Final = 0.45
_NEAR_WEIGHT: Final = 1.0 / 24.0
_SMALLEST: Final = 1e-18
_COUNT_MAX: Final = 1e6


class State(NamedTuple):
    """All that the detector remembers.

    Attributes:
        model: Predicts values.
        anchor: The level that errors are taken around, `[series]`.
        table: Errors seen while all was well.
        money: Evidence.
        waiting: Errors that may enter the table, oldest first, `[delay, series]`.
        quiet: Ticks without doubt, `[series]`.
        since: Ticks since the alarm while the change has not settled, else 0, `[series]`.
        near: Average p-values since the alarm, `[look, series]`.
        candidate: Predicts values at the new level.
        candidate_anchor: What its errors are taken around, `[series]`.
        errors: Its last errors, float32, `[settle - warmup, series]`; NaN where there is none.
        ago: Ticks since the change under way, or settled on this tick, began; else NaN, `[series]`.
        look: What has changed, int32, `[series]`.
        restart: Whether the new level has become the baseline on this tick, `[series]`.
    """

    model: whiten.Model
    anchor: Any
    table: conformal.Table
    money: changes.Money
    waiting: Any
    quiet: Any
    since: Any
    near: Any
    candidate: whiten.Model
    candidate_anchor: Any
    errors: Any
    ago: Any
    look: Any
    restart: Any


class News(NamedTuple):
    """What the last tick says beside the `DetectorOutput`, `[series]` each.

    Attributes:
        restart: The change has lasted: baselines of these rows should start anew. True for one
            tick a change.
        changing: There was an alarm, and the new level has not become the baseline yet.
        ago: Ticks since the change began, this one included; NaN where nothing is under way.
        look: `HIGHER`, `LOWER`, `WIDER` or `NARROWER`; -1 where nothing is under way.
    """

    restart: Any
    changing: Any
    ago: Any
    look: Any


class Changepoint(Detector[State]):
    """See the module. Causal, pure, one row independent of the next.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.whitener = whiten.Whitener(config.model)
        self.tables = conformal.Conformal(config.table)
        self.bets = changes.ChangeEvidence(config.evidence())
        self.doubt = min(_DOUBT, config.run_length)

    @override
    def init(self, xp: ModuleType, series: int) -> State:
        """Return the state of rows that have seen nothing."""
        kept = self.config.settle - self.config.model.warmup
        return State(
            model=self.whitener.init(xp, series),
            anchor=xp.zeros(series),
            table=self.tables.init(xp, series),
            money=self.bets.init(xp, series),
            waiting=xp.full((_DELAY, series), xp.nan),
            quiet=xp.zeros(series),
            since=xp.zeros(series),
            near=xp.zeros((len(changes.LOOKS), series)),
            candidate=self.whitener.init(xp, series),
            candidate_anchor=xp.zeros(series),
            errors=xp.full((kept, series), xp.nan, dtype=xp.float32),
            ago=xp.full(series, xp.nan),
            look=xp.full(series, -1, dtype=xp.int32),
            restart=xp.zeros(series, dtype=bool),
        )

    def restart(self, xp: ModuleType, state: State, rows: Any) -> State:
        """Return the state with these rows (bool `[series]`) as if new."""
        return _chosen(xp, rows, self.init(xp, state.since.shape[0]), state)

    def news(self, xp: ModuleType, state: State) -> News:
        """Return what the last step says beside its output."""
        changing = state.since > 0.0
        told = changing | state.restart
        return News(
            restart=state.restart,
            changing=changing,
            ago=xp.where(told, state.ago, xp.nan),
            look=xp.where(told, state.look, -1),
        )

    @override
    def step(
        self, xp: ModuleType, state: State, values: Any, learn: Any
    ) -> tuple[State, DetectorOutput]:
        """Judge one tick, then learn from it.

        Args:
            xp: numpy or jax.numpy.
            state: From `init` or the last step.
            values: Float `[series]`; NaN and infinities are unknown.
            learn: Bool `[series]`, or one bool: where anything may be learnt.

        Returns:
            The next state, and the p-value of the evidence so far, the band of errors while all
            was well, and the alarm: true on one tick a change.
        """
        error, size, grown = self._errors(xp, state.model, state.anchor, values)
        p = self._ranks(xp, state.table, size)
        money, heard = self.bets.step(xp, state.money, p)
        judged = xp.isfinite(heard.log10_e)
        near, back = self._return(xp, state, p, judged)
        alarm = heard.alarm & (state.since == 0.0)
        changing = ((state.since > 0.0) & ~back) | alarm
        grown_up = state.table.entered >= _YOUNG
        doubt = changing | (grown_up & (heard.evidence >= self.doubt))
        allowed = xp.asarray(learn) & ~doubt
        quiet = xp.minimum(xp.where(allowed, state.quiet + 1.0, 0.0), 2.0 * _DELAY)
        model = self.whitener.learn(xp, state.model, values, allowed)
        after = state._replace(
            model=model,
            anchor=self._anchor(xp, model, state.anchor),
            table=self.tables.learn(xp, state.table, state.waiting[0], quiet > _DELAY),
            money=self.bets.restart(xp, money, back),
            waiting=xp.concatenate([state.waiting[1:], size[None]]),
            near=xp.where(alarm, _FAR, near),
            quiet=quiet,
            ago=xp.where(alarm, heard.age, xp.minimum(state.ago + 1.0, _COUNT_MAX)),
            look=xp.where(alarm, heard.look, state.look),
        )
        settled = self._settle(xp, after, values, alarm, changing, changing & xp.asarray(learn))
        band = xp.where(judged, self._extremes(xp, state.table) * grown + error.expected, xp.nan)
        return settled, DetectorOutput(
            neg_log10_p=xp.maximum(heard.log10_e, 0.0), low=band[0], high=band[1], alarm=alarm
        )

    def _return(self, xp: ModuleType, state: State, p: Any, judged: Any) -> tuple[Any, Any]:
        """Return the average p-values, and where they are those of the old level and spread.

        Of all looks: a spread that has grown may have been heard first as a level that has moved.
        """
        moved = state.near + (xp.where(judged, p, 0.0) - state.near) * _NEAR_WEIGHT
        near = xp.where(judged, moved, state.near)
        return near, (state.since > 0.0) & (near.min(axis=0) >= _BACK)

    def _errors(
        self, xp: ModuleType, model: whiten.Model, anchor: Any, values: Any
    ) -> tuple[whiten.Error, Any, Any]:
        """Return errors around the anchor: as such, as sizes, and how a gap widens them.

        Sizes are as if there had been no gap, in the unit of the series. Neither the estimated
        level, which wanders, nor the estimated spread is in them: errors of one table would not be
        exchangeable, which the steep side of a skewed law shows first. What is smaller than the
        floor of the spread is rounding, and none.
        """
        error = self.whitener.errors(xp, model._replace(mean=anchor), values)
        floor = xp.maximum(self.config.model.sigma_floor_relative * xp.abs(anchor), _SMALLEST)
        unit = xp.sqrt(xp.maximum(model.scale2, floor * floor))
        return error, xp.round(error.sigmas * (unit / floor)) * floor, error.sd / unit

    def _anchor(self, xp: ModuleType, model: whiten.Model, anchor: Any) -> Any:
        """Return the level around which errors are taken: the first estimate, for good."""
        return xp.where(model.count <= self.config.model.warmup, model.mean, anchor)

    def _ranks(self, xp: ModuleType, table: conformal.Table, size: Any) -> Any:
        """Return p-values of the four directions, `[look, series]`."""
        there = xp.minimum(table.entered, self.config.table.size)
        known = xp.isfinite(size) & (there >= self.config.table.least)
        at = xp.asarray(xp.where(known, size, 0.0), dtype=xp.float32)
        out = xp.abs(at)
        inner = _below(self.tables, xp, table, xp.stack([at, out, -out]), there)
        upper = _below(self.tables, xp, table, _next(xp, xp.stack([at, out, -out])), there)
        higher, lower = there - inner[0], upper[0]
        further = (there - inner[1]) + upper[2]
        closer = upper[1] - inner[2]
        # An error of exactly zero is counted on both sides of "further": at most all of them.
        counts = xp.stack([higher, lower, xp.minimum(further, there), closer])
        return xp.where(known, (1.0 + counts) / (1.0 + there), xp.nan)

    def _settle(
        self, xp: ModuleType, state: State, values: Any, alarm: Any, changing: Any, learns: Any
    ) -> State:
        """Let the second model learn, and take it over where the change has settled."""
        if xp is np and not changing.any():  # as nearly always
            return state._replace(since=xp.where(changing, state.since, 0.0), restart=changing)
        fresh = self.whitener.restart(xp, state.candidate, alarm)
        errors = xp.where(alarm, xp.asarray(xp.nan, dtype=xp.float32), state.errors)
        sizes = self._errors(xp, fresh, state.candidate_anchor, values)[1]
        new = xp.asarray(sizes, dtype=xp.float32)
        pushed = xp.concatenate([errors[1:], new[None]])
        errors = xp.where(learns & xp.isfinite(new), pushed, errors)
        learnt = self.whitener.learn(xp, fresh, values, learns)
        counts = learns & xp.isfinite(xp.asarray(values))
        since = xp.where(alarm, 1.0, xp.minimum(state.since + counts, _COUNT_MAX))
        drift = xp.abs(errors.mean(axis=0)) * math.sqrt(errors.shape[0])
        still = drift <= _MOVING_SIGMAS * errors.std(axis=0)  # False for NaN
        settled = (
            changing & (since >= self.config.settle) & still & (state.near.min(axis=0) <= _AWAY)
        )
        before = state._replace(
            since=xp.where(changing, since, 0.0),
            candidate=_chosen(xp, changing, learnt, state.candidate),
            candidate_anchor=self._anchor(xp, learnt, state.candidate_anchor),
            errors=errors,
            restart=settled,
        )
        if xp is np and not settled.any():
            return before
        return _chosen(xp, settled, self._taken_over(xp, before), before)

    def _taken_over(self, xp: ModuleType, state: State) -> State:
        """Return the state with the second model and its errors as the baseline."""
        kept, series = state.errors.shape
        empty = xp.full((self.config.table.size - kept, series), -xp.inf, dtype=xp.float32)
        return state._replace(
            model=state.candidate,
            anchor=state.candidate_anchor,
            table=conformal.Table(
                scores=xp.concatenate([empty, xp.sort(state.errors, axis=0)]),
                entered=xp.full(series, kept, dtype=xp.int32),
                wait=xp.zeros(series, dtype=xp.int32),
            ),
            money=self.bets.init(xp, series),
            waiting=xp.full((_DELAY, series), xp.nan),
            quiet=xp.zeros(series),
            since=xp.zeros(series),
        )

    def _extremes(self, xp: ModuleType, table: conformal.Table) -> Any:
        """Return the lowest and the highest error of the tables, `[2, series]`."""
        size = self.config.table.size
        first = size - xp.clip(table.entered, 1, size)
        lowest = xp.take_along_axis(table.scores, first[None], axis=0)[0]
        lowest = xp.where(table.entered > 0, lowest, 0.0)
        highest = xp.where(table.entered > 0, table.scores[-1], 0.0)
        return xp.stack([lowest, highest])


def _below(
    tables: conformal.Conformal, xp: ModuleType, table: conformal.Table, at: Any, there: Any
) -> Any:
    """Return how many errors of the table are smaller than each of some, `[value, series]`."""
    empty = tables.config.size - there
    return xp.stack([tables.below(xp, table, one) - empty for one in at])


def _next(xp: ModuleType, value: Any) -> Any:
    """Return the least number above."""
    return xp.nextafter(value, xp.asarray(xp.inf, dtype=value.dtype))


def _chosen(xp: ModuleType, rows: Any, yes: PartT, no: PartT) -> PartT:
    """Return a state that has these rows (bool `[series]`) from `yes` and the others from `no`."""
    parts = (
        _chosen(xp, rows, ours, theirs) if isinstance(ours, tuple) else xp.where(rows, ours, theirs)
        for ours, theirs in zip(yes, no, strict=True)
    )
    return type(yes)(*parts)


PART: Final = Part(
    kind="detector",
    name="changepoint",
    summary="Level and spread changes that last: one alarm each, then the new level is normal.",
    config=Config,
    build=Changepoint,
)
