"""The recursive feedback loop: what people, objectives and outcomes say moves detection's lines.

Each channel's strengths are worth what they have been worth (`feedback_counts`); the worths of the
strongest channels of a tick add up to a score, and the line over the score is as low as the budget
for false alarms surely allows (`feedback_line`). How many channels are added is itself learnt: each
number is an expert, and experts are weighed by how often they were wrong lately
(`feedback_experts`). When the answers themselves change, learning stops and says so
(`feedback_steady`).

What cannot be learnt away: objectives that stay missed are told of whatever the score is, and a
missed objective outweighs any word that all was well. Only detection is touched: who may act, and
on what, is decided elsewhere and never reads this. The state is counts and a sample of quiet time:
it adds up over deployments and controllers, and goes through `stats.arrays`.
"""

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from homeostat.learn import feedback_counts as counts
from homeostat.learn import feedback_experts as experts
from homeostat.learn import feedback_steady as steady
from homeostat.learn.feedback_channels import CHANNELS, OBJECTIVES
from homeostat.learn.feedback_line import LEAST, Budget, allowed, line, needed
from homeostat.learn.feedback_words import TRUST, Source, Word, verdict

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PERSIST: Final = 4
"""Ticks in a row for which a strength must last; what the guards ask of a suspicion by default."""
PATIENCE: Final = 12
"""Ticks for which objectives may stay missed before that alone is told of (`loop.incidents`)."""
_OBJECTIVES: Final = CHANNELS.index(OBJECTIVES)
# In units of the experts' own lines: their mixture may be told of below them, but not far below.
_LOWEST: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings.

    Attributes:
        budget: False alarms that are allowed.
        fade: Share of counts that each sure stretch makes forgotten; 0.002 remembers 500.
        room: Quiet stretches that are remembered by their worst tick.
    """

    budget: Budget = field(default_factory=Budget)
    fade: float = 0.002
    room: int = 2048


class State(NamedTuple):
    """All that is remembered.

    Attributes:
        counts: What each strength has been worth.
        worst: Bins at the worst tick of each quiet stretch, int8 `[room, channel]`.
        stands: How many stretches each of them stands for, 0 = empty, `[room]`.
        trouble: Bins at the worst tick of each troubled stretch, int8 `[room, channel]`.
        taken: Stretches that were ever taken, quiet and troubled, `[2]`.
        watched_h: Hours called quiet, of which `worst` is a sample, `[]`.
        asked: Alarms raised, and alarms that somebody answered, `[2]`.
        experts: How wrong each number of channels was lately.
        steady: Whether the answers are as they were.
    """

    counts: counts.Counts
    worst: Any
    stands: Any
    trouble: Any
    taken: Any
    watched_h: Any
    asked: Any
    experts: experts.State
    steady: steady.State


class Drawn(NamedTuple):
    """What is in force, worked out from a state.

    Attributes:
        odds: Worth of each bin, `[channel, bin]`.
        weights: Of each expert, `[expert]`.
        lines: Each expert's own line, `[expert]`.
        line: Of the score; inf while there is none, and while learning has stopped.
    """

    odds: Floats
    weights: Floats
    lines: Floats
    line: float


class Stretch(NamedTuple):
    """A stretch of time, summed up while it lasts.

    Attributes:
        peaks: Highest bin of each channel, `[channel]`.
        worst: Bins at the tick with the highest score, `[channel]`.
        score: That score.
        hours: How long it was.
        alarmed: It was told of.
        touched: An action of ours was in flight.
    """

    peaks: Ints
    worst: Ints
    score: float
    hours: float
    alarmed: bool
    touched: bool


def init(config: Config) -> State:
    """Return the state before anything was said."""
    return State(
        counts=counts.none(),
        worst=np.zeros((config.room, len(CHANNELS)), dtype=np.int8),
        stands=np.zeros(config.room),
        trouble=np.zeros((config.room, len(CHANNELS)), dtype=np.int8),
        taken=np.zeros(2),
        watched_h=np.zeros(()),
        asked=np.zeros(2),
        experts=experts.init(),
        steady=steady.init(),
    )


def drawn(config: Config, state: State) -> Drawn:
    """Return what the state puts in force."""
    worth = counts.odds(state.counts)
    used = state.stands > 0.0
    # A stretch has taught the odds that judge it: without itself it would have looked worse.
    alone = counts.odds(state.counts, without=TRUST[Source.SILENCE])
    each = experts.scores(alone, state.worst[used].astype(np.int64))
    budget, stands = config.budget, state.stands[used]
    most = allowed(budget, watched_h=float(state.watched_h), raised=float(state.asked[0]))
    lines = np.array([line(row, stands, most, budget, LEAST) for row in each.T])
    weights = experts.weights(state.experts)
    mixed = experts.mixed(each, weights, lines)
    # What the answers no longer support is not in force either: the shipped alarm speaks alone.
    own = line(mixed, stands, most, budget, _LOWEST)
    room = min(int(state.taken[1]), config.room)
    modest = counts.odds(state.counts, kind=counts.TROUBLE, without=1.0)
    known = experts.scores(modest, state.trouble[:room].astype(np.int64))
    own = max(own, needed(experts.mixed(known, weights, lines), mixed, stands, _LOWEST))
    stopped = steady.changed(state.steady)
    return Drawn(odds=worth, weights=weights, lines=lines, line=float("inf") if stopped else own)


def score(now: Drawn, bins: Ints) -> Floats:
    """Return the score of ticks, any shape before the channels `[..., channel]`.

    Args:
        now: What is in force.
        bins: Of strengths that have lasted, see `lasting`.
    """
    return experts.mixed(experts.scores(now.odds, bins), now.weights, now.lines)


def told(now: Drawn, bins: Ints, missed: Ints) -> npt.NDArray[np.bool_]:
    """Return at which ticks there is something to tell of.

    Args:
        now: What is in force.
        bins: As for `score`.
        missed: Ticks in a row for which the objectives have been missed, `[...]`.
    """
    return np.asarray((score(now, bins) >= now.line) | (missed >= PATIENCE))


def lasting(strengths: Floats) -> Floats:
    """Return the strength that has lasted, `[tick, channel]`: the least of the last `PERSIST`.

    A tick on which a channel was unknown breaks its run; so does the beginning.

    Args:
        strengths: `[tick, channel]`, oldest first.
    """
    some = np.where(np.isnan(strengths), -1.0, strengths)
    before = np.concatenate([np.full((PERSIST - 1, some.shape[1]), -1.0), some])
    least = np.min([before[k : k + len(some)] for k in range(PERSIST)], axis=0)
    return np.where(least < 0.0, np.nan, least)


def missed(strengths: Floats) -> Ints:
    """Return for how many ticks in a row objectives have been missed, `[tick]`."""
    out = np.zeros(len(strengths), dtype=np.int64)
    run = 0
    for tick, value in enumerate(strengths[:, _OBJECTIVES]):
        run = run + 1 if value >= 1.0 else 0
        out[tick] = run
    return out


def learnt(
    config: Config, state: State, now: Drawn, seen: Stretch, words: tuple[Word, ...]
) -> State:
    """Return the state after one stretch and all that was said of it.

    Args:
        config: Settings.
        state: Before.
        now: What was in force.
        seen: The stretch.
        words: What was said; for an alarm that nobody answered, nothing but the objectives.
    """
    state, heard = _heard(config, state, seen, words)
    found = verdict(words, touched=seen.touched)
    if found is None or not heard:
        return state
    sure = found.weight
    if all(word.source is Source.SILENCE for word in words):
        sure *= 1.0 - _trouble(state, now, seen)
    after = counts.added(
        state.counts, seen.peaks, trouble=found.trouble, weight=sure, fade=config.fade
    )
    tells = experts.scores(now.odds, seen.worst) >= now.lines
    state = state._replace(counts=after, experts=experts.step(state.experts, tells, found))
    if found.trouble:
        # What is confirmed by word alone is false now and then. That keeps whoever says yes to
        # everything within 1 / (1 - trust) times the budget.
        trouble = state.trouble.copy()
        trouble[int(state.taken[1]) % config.room] = seen.worst
        state = state._replace(trouble=trouble, taken=state.taken + np.array([0.0, 1.0]))
        return _remembered(config, state, seen, 1.0 - sure) if seen.alarmed else state
    state = state._replace(watched_h=state.watched_h + seen.hours)
    raised, answered = state.asked
    if not seen.alarmed:
        # It counts in full, however strange it looks: to tell of what nobody cared for is what the
        # budget is about.
        return _remembered(config, state, seen, 1.0)
    # Of the alarms that nobody answered as many were false as of those that somebody did.
    return _remembered(config, state, seen, max(raised / max(answered, 1.0), 1.0))


def _trouble(state: State, now: Drawn, seen: Stretch) -> float:
    """Return how likely a stretch was trouble by its strongest channel and all that was learnt.

    Silence is not believed over what looks like known trouble: else a fault that nobody noticed
    would teach that its signs are normal.
    """
    quiet, trouble = state.counts.stretches + 1.0
    odds = trouble / quiet * np.exp(now.odds[np.arange(len(seen.peaks)), seen.peaks].max())
    return float(odds / (1.0 + odds))


def _heard(
    config: Config, state: State, seen: Stretch, words: tuple[Word, ...]
) -> tuple[State, bool]:
    """Return the state with the stretch counted, and whether anything is learnt at present."""
    person = [word.trouble for word in words if word.source is Source.PERSON]
    answered = seen.alarmed and bool(person)
    state = state._replace(
        asked=state.asked + np.array([float(seen.alarmed), float(answered)]),
    )
    answers = steady.step(
        state.steady,
        days=seen.hours / 24.0,
        per_day=config.budget.per_day,
        nothing=not person[0] if answered else None,
    )
    return state._replace(steady=answers), not steady.changed(answers)


def _remembered(config: Config, state: State, seen: Stretch, stands: float) -> State:
    """Return the state with one more stretch of quiet time, standing for so many."""
    if stands <= 0.0:
        return state
    place = int(state.taken[0]) % config.room
    worst, weight = state.worst.copy(), state.stands.copy()
    worst[place], weight[place] = seen.worst, stands
    return state._replace(worst=worst, stands=weight, taken=state.taken + np.array([1.0, 0.0]))


def stretch_of(now: Drawn, bins: Ints, *, hours: float, alarmed: bool, touched: bool) -> Stretch:
    """Return a stretch of ticks summed up.

    Args:
        now: What is in force.
        bins: `[tick, channel]`, at least one tick.
        hours: How long it was.
        alarmed: It was told of.
        touched: An action of ours was in flight.
    """
    scores = score(now, bins)
    place = int(scores.argmax())
    return Stretch(
        peaks=bins.max(axis=0),
        worst=bins[place],
        score=float(scores[place]),
        hours=hours,
        alarmed=alarmed,
        touched=touched,
    )


STATE_CLASSES: Final = (State, counts.Counts, experts.State, steady.State)
"""What `stats.arrays.from_bytes` must know to read the state."""
