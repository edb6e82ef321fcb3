"""The conformance kit of histogram methods: what every one must keep, whatever it goes by.

    check_histogram("drift", Drift)

Raises AssertionError with a sentence on the first broken promise. The kit knows a method by its
protocol (`detect.histogram`) and its default settings: it must learn what is usual from 200 events
a look within 80 looks, and find a total variation of 0.35. How well it does that beyond the bounds
here is for the method's own tests.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property
from typing import Any, Final

import numpy as np

from homeostat.base.evidence import Quality, Verdict
from homeostat.base.units import SECOND
from homeostat.detect.drift_said import Family, Judged
from homeostat.detect.histogram import HistogramMethod
from homeostat.stats.arrays import from_bytes, to_bytes
from homeostat.testing.clock import START_NS
from homeostat.testing.detector import time_stands_at
from homeostat.testing.histogram_run import (
    BOUNDS,
    MOVED,
    USUAL,
    Run,
    Sheet,
    judged,
    numbers,
    rebinned,
    renamed,
    stream,
)

WARM: Final = 80
"""Looks after which a method must know what is usual."""
_QUIET: Final = 240  # looks after them, in which hardly anybody may alarm
_CROWD: Final = 40
_FALSE: Final = 1  # deployments of the crowd that may
_SOON: Final = 60  # looks within which a shift must be found
_ODD_LOOKS: Final = (3, 4, 11)  # of twenty, at which a page is what none can be
_CLOSE: Final = 1e-9  # sums in another order may differ in the last digit, and nothing else may


class _Subject:
    """A method under test, and what it says of the streams that several checks look at."""

    def __init__(self, name: str, make: Callable[[], HistogramMethod]) -> None:
        self.name, self.make = name, make

    @cached_property
    def plain(self) -> Run:
        """Three deployments that stay as they are, and then move."""
        run = Run(self.make()).all(stream(WARM, 3))
        return run.all(stream(WARM // 2, 3, shares=MOVED, seed=2), learning=False)


def check_histogram(name: str, make: Callable[[], HistogramMethod]) -> None:
    """Check one method.

    Args:
        name: For messages.
        make: Builds a new one.

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
    """Each deployment gets one answer, in order; an unknown one has a reason and no sizes."""
    for said in subject.plain.said:
        owners = [family.deployment for family in said]
        if owners != sorted(owners) or owners != ["d00", "d01", "d02"]:
            return f"it spoke of {owners}, wanted one answer of each, in order"
        for family in said:
            broken = _wrong(family)
            if broken:
                return broken
    return None


def check_nothing_given_is_changed(subject: _Subject) -> str | None:
    """A step changes neither the state, nor the pages, nor what was said before."""
    run = Run(subject.make())
    for number, pages in enumerate(stream(WARM // 2, 2)):
        state, kept = run.state, to_bytes(run.state)
        counts = [page.counts.copy() for page in pages]
        run.look(pages, learning=number % 5 > 0)
        if to_bytes(state) != kept:
            return "step changed the state it was given; return a new one"
        if not all(np.array_equal(*pair) for pair in zip(counts, _counts(pages), strict=True)):
            return "step changed the counts it was given"
    return None


def check_state_can_be_kept(subject: _Subject) -> str | None:
    """Written as bytes and read back, a state goes on bit for bit."""
    looks = [*stream(WARM, 3), *stream(WARM // 2, 3, shares=MOVED, seed=2)]
    half = WARM // 2 + 7
    begun = Run(subject.make()).all(looks[:half])
    rest = Run(subject.make())  # a new process: nothing but the bytes survives
    rest.state = from_bytes(to_bytes(begun.state), rest.method.state_classes)
    rest.all(looks[half:WARM]).all(looks[WARM:], learning=False)
    if rest.said != subject.plain.said[half:]:
        return "a stored state does not go on where it stopped"
    if to_bytes(rest.state) != to_bytes(subject.plain.state):
        return "a stored state goes on to another one"
    return None


def check_the_future_and_the_clock_are_unknown(subject: _Subject) -> str | None:
    """What is said of a prefix is what is said of the whole, at whatever time of day."""
    other = Run(subject.make())
    with time_stands_at(START_NS + 100_003 * SECOND):
        other.all(stream(WARM, 3)).all(stream(5, 3, seed=9, events=7))
    if other.said[:WARM] != subject.plain.said[:WARM]:
        return "a later event, or the clock, changed an earlier answer"
    return None


def check_deployments_are_apart(subject: _Subject) -> str | None:
    """What is said of a deployment is, to the bit, what is said of it alone."""
    looks = [*stream(WARM, 4), *stream(WARM // 2, 4, shares=MOVED, seed=2)]
    for number, look in enumerate(looks):
        if number % 7 == 0:  # neighbours come and go
            looks[number] = [one for one in look if one.deployment != "d02"]
    together = Run(subject.make()).all(looks)
    for deployment in ("d00", "d03"):
        alone = Run(subject.make()).all(
            [one for one in look if one.deployment == deployment] for look in looks
        )
        if together.of(deployment) != alone.said:
            return f"what is said of {deployment} depends on its neighbours"
    return None


def check_names_mean_nothing(subject: _Subject) -> str | None:
    """Other names of deployments and versions, in another order, change no answer."""
    names = {"d00": "zulu", "d01": "alpha", "d02": "mike"}
    run = Run(subject.make()).all(renamed(stream(WARM, 3), names))
    run.all(renamed(stream(WARM // 2, 3, shares=MOVED, seed=2), names), learning=False)
    for ours, theirs in zip(subject.plain.said, run.said, strict=True):
        first, second = judged(ours), judged(theirs)
        for old, new in names.items():
            if not _same(first[old], second[new]):
                return f"another name changed an answer: {first[old]}, then {second[new]}"
    return None


def check_bins_are_read_from_either_end(subject: _Subject) -> str | None:
    """Bins from last to first give the same answers; in any order, the same sizes by shares."""
    healthy, moved = stream(WARM, 3), stream(WARM // 2, 3, shares=MOVED, seed=2)
    back = Run(subject.make()).all(rebinned(healthy, slice(None, None, -1)))
    back.all(rebinned(moved, slice(None, None, -1)), learning=False)
    mixed = Run(subject.make()).all(rebinned(healthy, [3, 0, 5, 1, 4, 2]))
    # The bound at which the gap is counts from the other end.
    ends = ("bound", "share", "share_low", "share_high")
    for ours, theirs in _pairs(subject.plain, back):
        if not _same(ours, theirs, besides=ends):
            return f"bins from the other end changed an answer: {ours}, then {theirs}"
    for ours, theirs in _pairs(subject.plain, mixed):
        if not _same(ours, theirs, only=("total_variation", "psi", "events")):
            return f"the order of bins changed {ours} to {theirs}"
    return None


def check_what_cannot_be_is_unknown(subject: _Subject) -> str | None:
    """Gaps and counts that cannot be are unknown, of their deployment only, and leave no trace."""
    calm = Run(subject.make()).all([*stream(WARM, 2), *stream(20, 2, seed=5)])
    for what, sheet in _hostile():
        run = Run(subject.make()).all(stream(WARM, 2))
        for number, pages in enumerate(stream(20, 2, seed=5)):
            odd = ([] if sheet is None else [sheet]) if number in _ODD_LOOKS else pages[:1]
            run.look([*odd, pages[1]])
        for number in _ODD_LOOKS:
            one = judged(run.said[WARM + number]).get("d00")
            if one is not None and (one.verdict, _size(one)) != (Verdict.UNKNOWN, (None,) * 3):
                return f"{what}: called {one.verdict}, with sizes {_size(one)}"
        if run.of("d01") != calm.of("d01"):
            return f"{what}: changed what is said of a neighbour"
        last = judged(run.said[-1])["d00"]
        if last.verdict is not Verdict.HEALTHY or _odd(last):
            return f"{what}: then the same events as ever are {last.verdict}"
    return None


def check_few_events_are_unknown(subject: _Subject) -> str | None:
    """Before there is enough to compare, nothing is healthy, anomalous or zero."""
    run = Run(subject.make()).all(stream(12, 2, events=3))
    for said in run.said:
        for one in judged(said).values():
            if one.verdict is not Verdict.UNKNOWN or one.quality is Quality.GOOD:
                return f"a dozen looks at three events are {one.verdict}"
    return None


def check_what_stays_is_healthy(subject: _Subject) -> str | None:
    """Of forty deployments that stay as they are one alarms at most, at any of 240 looks."""
    run = Run(subject.make()).all(stream(WARM + _QUIET, _CROWD, seed=3))
    every = [judged(said) for said in run.said]
    if any(one.verdict is not Verdict.HEALTHY for one in every[WARM].values()):
        return f"not all are healthy after {WARM} looks"
    alarmed = {
        owner for said in every for owner, one in said.items() if one.verdict is Verdict.ANOMALOUS
    }
    if len(alarmed) > _FALSE:
        return f"{len(alarmed)} of {_CROWD} healthy deployments alarmed, at most {_FALSE} may"
    return None


def check_what_moved_is_found_and_sized(subject: _Subject) -> str | None:
    """A shift of 0.35 is found in nearly all deployments, with its size; it ends when it ends."""
    run = Run(subject.make()).all(stream(WARM, _CROWD, seed=3))
    looks = stream(_SOON, _CROWD, shares=MOVED, seed=4)
    said = [judged(run.look(pages, learning=False)) for pages in looks]
    found = [one for one in said[-1].values() if one.verdict is Verdict.ANOMALOUS]
    if len(found) < 0.95 * _CROWD:
        return f"found {len(found)} of {_CROWD} shifts in {_SOON} looks"
    wanted = 0.5 * float(np.abs(np.subtract(MOVED, USUAL)).sum())
    off = [one.total_variation for one in found]
    if any(size is None or abs(size - wanted) > 0.5 * wanted for size in off):
        return f"a shift of {wanted:.2f} is called {off}"
    last = judged(run.all(stream(WARM, _CROWD, seed=6)).said[-1])
    if any(one.verdict is Verdict.ANOMALOUS for one in last.values()):
        return f"still anomalous {WARM} looks after all was as ever"
    return None


def _wrong(family: Family) -> str | None:
    """Return what is wrong with an answer by itself."""
    for one in family.judged:
        if (one.verdict is Verdict.UNKNOWN) == (one.quality is Quality.GOOD):
            return f"{one.verdict} of quality {one.quality}"
        if (
            one.verdict is Verdict.UNKNOWN
            and (one.total_variation, one.psi, one.gap) != (None,) * 3
        ):
            return "an unknown answer has sizes"
        if _odd(one):
            return f"numbers that cannot be: {one}"
        sized = one.events is not None and one.total_variation is not None
        if one.verdict is not Verdict.UNKNOWN and not sized:
            return "a known answer without a size, or without the events behind it"
    return None


def _size(one: Judged) -> tuple[float | None, ...]:
    return one.total_variation, one.psi, one.gap


def _pairs(first: Run, second: Run) -> Iterable[tuple[Judged, Judged]]:
    """Return what both said of each deployment, as many looks as the shorter took."""
    for ours, theirs in zip(first.said, second.said, strict=False):
        other = judged(theirs)
        yield from ((one, other[owner]) for owner, one in judged(ours).items())


def _odd(one: Judged) -> bool:
    """Return whether a number is not finite, or a size outside of its range."""
    known = {name: value for name, value in numbers(one).items() if value is not None}
    if not all(map(math.isfinite, known.values())):
        return True
    shares = ("total_variation", "gap", "share", "share_low", "share_high")
    return any(not -_CLOSE <= known.get(name, 0.0) <= 1.0 + _CLOSE for name in shares)


def _same(
    one: Judged, other: Judged, *, only: tuple[str, ...] = (), besides: tuple[str, ...] = ()
) -> bool:
    """Return whether two answers are alike but for the last digits."""
    ours, theirs = numbers(one), numbers(other)
    if not only and (one.verdict, one.quality) != (other.verdict, other.quality):
        return False
    return all(
        _close(ours[name], theirs[name])
        for name in ours
        if name not in besides and (not only or name in only)
    )


def _close(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=_CLOSE, abs_tol=_CLOSE)


def _hostile() -> Iterable[tuple[str, Sheet | None]]:
    """Return what pages may come to, by what it is; None for no page."""
    plain = Sheet(deployment="d00", counts=np.full(len(BOUNDS), 30.0))
    bad = {"NaN": np.nan, "a negative count": -1.0, "an infinite count": np.inf, "2^60": 2.0**60,
           "a count that a sum of does not hold": 1e308}  # fmt: skip
    for what, value in bad.items():
        yield what, replace(plain, counts=np.array([30.0, value, 30.0, 30.0, value, 30.0]))
    yield "no events", replace(plain, counts=np.zeros(len(BOUNDS)))
    yield "too few counts", replace(plain, counts=np.full(len(BOUNDS) - 1, 30.0))
    yield "too many counts", replace(plain, counts=np.full(len(BOUNDS) + 1, 30.0))
    for quality in (Quality.STALE, Quality.ABSURD, Quality.MISSING):
        nothing = np.full(len(BOUNDS), np.nan)
        yield f"a page that is {quality}", replace(plain, counts=nothing, quality=quality)
    yield "no page", None


def _counts(pages: Iterable[Sheet]) -> list[Any]:
    return [page.counts for page in pages]


CHECKS: Final[tuple[Callable[[_Subject], str | None], ...]] = (
    check_it_says_all_there_is,
    check_nothing_given_is_changed,
    check_state_can_be_kept,
    check_the_future_and_the_clock_are_unknown,
    check_deployments_are_apart,
    check_names_mean_nothing,
    check_bins_are_read_from_either_end,
    check_what_cannot_be_is_unknown,
    check_few_events_are_unknown,
    check_what_stays_is_healthy,
    check_what_moved_is_found_and_sized,
)
"""Every promise, in the order in which they are checked."""
