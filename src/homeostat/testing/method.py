"""The conformance kit of methods: what all that `homeostat detect` judges by must keep.

    check_method("pca", make)

Raises AssertionError with a sentence on the first broken promise. The kit knows a method by its
port alone (`detect.method.Method`): entities of several columns of independent normal noise, which
it must call healthy, and a lasting shift of many deviations in all columns, which it must tell of
once. Single columns are for the kit of detectors (`testing.detector`), and how well a method does
beyond the bounds here for its own tests.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Final

import numpy as np

from homeostat.base.units import SECOND
from homeostat.detect import stack_checkpoint
from homeostat.detect.method import Method
from homeostat.testing.clock import START_NS
from homeostat.testing.detector import time_stands_at
from homeostat.testing.detector_run import copied, leaves, same
from homeostat.testing.method_run import COLUMNS, Run, noise

WARM: Final = 600
"""Ticks after which any method with default settings must judge."""
_MORE: Final = 60
_LATER: Final = 200  # ticks of noise that are judged
_SHIFT: Final = 12.0  # standard deviations: no method's own business, and nobody's noise
# Incidents that may start a healthy entity and tick: two in a thousand ticks of each column, the
# largest risk that a detector of the house is shipped with (`spot`).
_FALSE: Final = 2e-3 * COLUMNS
_MOST_BYTES: Final = 192 * 1024  # a column: two weeks of minutes, and what else there is to keep
_SEASON: Final = 48.0  # ticks
_FLAT: Final = 200  # ticks
_LINE: Final = 0.5
_QUIET: Final = slice(0, 60)  # entities of the crowd
_SHIFTED: Final = slice(60, 100)
_SILENT, _GAP, _BESIDE, _CROWD = 100, 101, 102, 103


class _Subject:
    """A method, and the two plays of it that several checks look at: a play takes seconds."""

    def __init__(self, name: str, make: Callable[[], Method]) -> None:
        self.name, self.make = name, make

    @cached_property
    def plain(self) -> Run:
        """Return two entities of noise, played at one time of day."""
        with time_stands_at(START_NS):
            return Run(self.make(), 2).all(noise(WARM, 2))

    @cached_property
    def crowd(self) -> Run:
        """Return quiet entities and shifted ones, one that is silent and one with a gap."""
        values = noise(WARM + _LATER, _CROWD, seed=4)
        values[WARM:, _SHIFTED] += _SHIFT
        values[:, _SILENT] = np.nan
        values[WARM, _GAP] = [np.nan, np.inf, -np.inf]
        return Run(self.make(), _CROWD).all(values)


def check_method(name: str, make: Callable[[], Method]) -> None:
    """Check one method.

    Args:
        name: For messages.
        make: Builds a new one, for entities of `COLUMNS` columns.

    Raises:
        AssertionError: Names the method, the promise and what was seen instead.
    """
    subject = _Subject(name, make)
    for check in CHECKS:
        try:
            broken = check(subject)
        except Exception as error:  # foreign code may raise anything
            raise AssertionError(f"{name}: {check.__name__} raised {error!r}") from error
        if broken:
            raise AssertionError(f"{name}: {broken} ({check.__name__})")


def check_it_says_all_there_is(subject: _Subject) -> str | None:
    """One entity and forty get one answer each, of the right shapes and types."""
    for entities in (1, 40):
        method = subject.make()
        said = Run(method, entities).all(noise(20, entities)).said[-1]
        row, cell = (entities,), (entities, COLUMNS)
        flags = {"alarm": row, "active": row, "unknown": row, "spoke": row}
        numbers = {"neg_log10_p": row, "anomaly_score": row, "contributions": cell}
        numbers |= {"low": cell, "high": cell, "each": (entities, len(method.names), 4)}
        for field, shape in (flags | numbers).items():
            part, wanted = getattr(said, field), bool if field in flags else float
            if part.shape != shape or part.dtype != wanted:
                return f"{field} is {part.dtype}{part.shape}, wanted {wanted.__name__}{shape}"
    return None


def check_nothing_given_is_changed(subject: _Subject) -> str | None:
    """A step changes neither the state, nor the values, nor what was said before."""
    run, kept = Run(subject.make(), 2), []
    for row in noise(WARM // 3, 2):
        state, given, values = run.state, copied(run.state), row.copy()
        kept.append(copied(tuple(run.tick(row))))
        if not same(leaves(state), given) or not np.array_equal(row, values):
            return "step changed the state or the values it was given"
    if not all(same(leaves(tuple(now)), then) for now, then in zip(run.said, kept, strict=True)):
        return "what was said changed afterwards"
    return None


def check_the_future_and_the_clock_are_unknown(subject: _Subject) -> str | None:
    """What is said of a prefix is what is said of the whole, at whatever time of day."""
    first, values = subject.plain, noise(WARM + 40, 2)
    values[WARM:] += 50.0
    with time_stands_at(START_NS + 100_003 * SECOND):
        second = Run(subject.make(), 2).all(values)
    if not same([tuple(one) for one in first.said], [tuple(one) for one in second.said[:WARM]]):
        return "a later value, or the clock, changed an earlier answer"
    return None


def check_entities_are_apart(subject: _Subject) -> str | None:
    """What is said of an entity depends neither on others nor on its place among them."""
    ticks = WARM + WARM // 2
    values = noise(ticks, 4, seed=5)
    values[WARM:, 3] += 40.0
    values[: WARM // 3, 2] = np.nan
    values[:, 1] += 6.0 * np.sin(np.arange(ticks) * (2.0 * np.pi / _SEASON))[:, None]
    together = Run(subject.make(), 4).all(values)
    alone = Run(subject.make(), 1).all(values[:, 1:2])
    for field in ("neg_log10_p", "alarm", "contributions"):
        # Sums in another order may differ in the last digit, and nothing else may.
        ours, theirs = together.over_time(field)[:, 1:2], alone.over_time(field)
        if not np.allclose(ours, theirs, rtol=1e-9, atol=1e-12, equal_nan=True):
            return f"{field} of an entity depends on its neighbours, or on its place"
    return None


def check_state_can_be_kept(subject: _Subject) -> str | None:
    """The state keeps its size, and written as bytes and read back goes on bit for bit."""
    values = noise(WARM, 2)
    half = WARM // 2 + 7  # within whatever blocks it may work in
    whole, begun = subject.plain, Run(subject.make(), 2).all(values[:half])
    sizes = [sum(leaf.nbytes for leaf in leaves(one.state)) for one in (whole, begun)]
    fresh = sum(leaf.nbytes for leaf in leaves(subject.make().init(COLUMNS, entities=2)))
    if {*sizes} != {fresh}:
        return f"the state has {fresh} bytes at first, then {sizes[1]} and {sizes[0]}"
    if fresh > 2 * COLUMNS * _MOST_BYTES:
        return f"{fresh // (2 * COLUMNS)} bytes a column, more than {_MOST_BYTES}"
    data = stack_checkpoint.to_bytes(begun.method, begun.state)
    rest = Run(subject.make(), 2)  # a new process: nothing but the bytes survives
    rest.state = stack_checkpoint.from_bytes(rest.method, data, columns=COLUMNS, entities=2)
    rest.all(values[half:])
    if not same([tuple(one) for one in whole.said[half:]], [tuple(one) for one in rest.said]):
        return "a stored state does not go on where it stopped"
    return None


def check_what_is_not_known_is_unknown(subject: _Subject) -> str | None:
    """Silence, gaps and infinities are unknown, of their entity only, and never an alarm."""
    run = subject.crowd
    unknown, then = run.over_time("unknown"), run.said[WARM]
    if not unknown[:, _SILENT].all() or run.over_time("active")[:, _SILENT].any():
        return "it judged an entity that never said anything"
    if not then.unknown[_GAP] or not np.isnan(then.neg_log10_p[_GAP]) or then.alarm[_GAP]:
        return "a tick without any value was judged"
    if then.unknown[_BESIDE]:
        return "one entity's gap made its neighbour unknown"
    if not np.array_equal(unknown, np.isnan(run.over_time("neg_log10_p"))):
        return "`unknown` and evidence do not agree"
    return None


def check_noise_is_healthy(subject: _Subject) -> str | None:
    """Independent noise is judged once it is old enough, and hardly ever alarms."""
    run = subject.crowd
    if run.over_time("unknown")[WARM:, _QUIET].any():
        return f"still unknown after {WARM} ticks"
    starts = run.over_time("alarm")[WARM:, _QUIET].mean()
    if starts > _FALSE:
        return f"an incident starts at {starts:.2%} of healthy ticks, at most {_FALSE:.2%} may"
    evidence = run.over_time("neg_log10_p")[WARM:, _QUIET]
    if (evidence < 0.0).any() or np.isinf(evidence).any():
        return "-log10 p must be 0 or more and finite"
    # As long as in the kit of detectors: after 300 constant ticks `conformal` and `seasonal` do
    # call a first rounding rare.
    flat = np.full((_FLAT, 2, COLUMNS), 0.1 + 0.2)
    flat[_FLAT // 2 :: 2] *= 1.0 + 3e-16
    if Run(subject.make(), 2).all(flat).over_time("alarm").any():
        return "a constant alarms on rounding"
    return None


def check_a_lasting_shift_is_told_once(subject: _Subject) -> str | None:
    """A shift that lasts is one incident, begins within it, and names columns."""
    run, soon = subject.crowd, slice(WARM, WARM + _MORE)
    starts = run.over_time("alarm")[soon, _SHIFTED]
    active = run.over_time("active")[soon, _SHIFTED]
    found = active.any(axis=0)
    if found.mean() < 0.95:  # noqa: PLR2004 - 38 of 40 entities
        return f"found {found.mean():.0%} of shifts by {_SHIFT:g} deviations in {_MORE} ticks"
    if (starts.sum(axis=0) > 1).mean() > 0.1:  # noqa: PLR2004 - the rule of persistence may waver
        return "a shift that lasts is told more than once"
    shares = run.over_time("contributions")[soon, _SHIFTED][starts]
    if np.isnan(shares).any() or not np.allclose(shares.sum(axis=1), 1.0):
        return "an alarm whose contributions do not sum to 1"
    return None


def check_the_line_is_a_half(subject: _Subject) -> str | None:
    """The score is at or above 0.5 exactly where an incident starts, and lies in [0, 1]."""
    run = subject.crowd
    score, alarm = run.over_time("anomaly_score"), run.over_time("alarm")
    known = ~np.isnan(score)
    if (score[known] < 0.0).any() or (score[known] > 1.0).any():
        return "a score outside [0, 1]"
    if not np.array_equal(np.nan_to_num(score) >= _LINE, alarm):
        return "the score is not at or above 0.5 exactly where an incident starts"
    return None


def check_an_incident_speaks_where_it_starts(subject: _Subject) -> str | None:
    """What starts an incident is spoken at that tick; only a known tick of an incident speaks."""
    run = subject.crowd
    spoke, alarm = run.over_time("spoke"), run.over_time("alarm")
    if (alarm & ~spoke).any():
        return "an incident starts at a tick at which nothing speaks for it"
    if (spoke & ~(run.over_time("active") & ~run.over_time("unknown"))).any():
        return "something speaks at a tick that is unknown or in no incident"
    return None


CHECKS: Final[tuple[Callable[[_Subject], str | None], ...]] = (
    check_it_says_all_there_is,
    check_nothing_given_is_changed,
    check_state_can_be_kept,
    check_the_future_and_the_clock_are_unknown,
    check_entities_are_apart,
    check_what_is_not_known_is_unknown,
    check_noise_is_healthy,
    check_a_lasting_shift_is_told_once,
    check_the_line_is_a_half,
    check_an_incident_speaks_where_it_starts,
)
"""Every promise, in the order in which they are checked."""
