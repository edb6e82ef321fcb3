"""The conformance kit of detectors: what every one must keep, whatever it looks for.

    check_detector(PART)

Raises AssertionError with a sentence on the first broken promise. The kit knows a detector only by
its port and default settings: it must judge independent normal noise around a level, one row per
series, and find a lasting shift of eight standard deviations. How well it does that beyond the
bounds here is for the detector's own tests.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final, NamedTuple
from unittest import mock

import numpy as np

from homeostat.base.part import Part
from homeostat.base.units import SECOND
from homeostat.testing import detector_judgement as judgement
from homeostat.testing.clock import START_NS
from homeostat.testing.detector_run import Feed, Subject, copied, leaves, noise, rebuilt, same

_MOST_BYTES: Final = 8 * 1024  # per series, what a controller of 100,000 series can hold
_WARM: Final = judgement.WARM


def check_detector(part: Part, config: Any = None) -> None:
    """Check one detector plug-in.

    Args:
        part: The plug-in; built anew for each check.
        config: Settings to use instead of `part.config()`.

    Raises:
        AssertionError: Names the detector, the promise and what was seen instead.
    """
    if part.kind != "detector":
        raise AssertionError(f"{part.name!r} is a {part.kind}, not a detector")
    settings = part.config() if config is None else config
    subject = Subject(name=part.name, make=lambda: part.build(settings))
    for check in CHECKS:
        try:
            broken = check(subject)
        except Exception as error:  # foreign code may raise anything
            raise AssertionError(f"{part.name}: {check.__name__} raised {error!r}") from error
        if broken:
            raise AssertionError(f"{part.name}: {broken} ({check.__name__})")


def check_state_is_left_alone(subject: Subject) -> str | None:
    """A step must not change the state, the values or the mask that it was given."""
    detector = subject.make()
    state, learn = detector.init(np, 3), np.ones(3, dtype=bool)
    for row in noise(60, 3):
        given, values = copied(state), row.copy()
        after, _ = detector.step(np, state, row, learn)
        if not same(leaves(state), given):
            return "step changed the state it was given; return a new one"
        if not np.array_equal(row, values) or not learn.all():
            return "step changed the values or the mask it was given"
        state = after
    return None


def check_nothing_is_hidden(subject: Subject) -> str | None:
    """The same state and values give the same answer: no chance, no clock, no memory elsewhere."""
    values = noise(80, 3)
    with time_stands_at(START_NS):
        first = Feed(subject.make(), 3).all(values)
    detector = subject.make()
    second, distraction = Feed(detector, 3), Feed(detector, 3)
    for tick, row in enumerate(values):
        with time_stands_at(START_NS + (tick + 1) * 100_003 * SECOND):
            second.tick(row)
        distraction.tick(-5.0 * row)  # another fleet on the same object
    if same(first.said, second.said) and same(first.state, second.state):
        return None
    return (
        "the same values gave two answers: it keeps something outside its state "
        "(chance, a clock, an attribute)"
    )


@contextmanager
def time_stands_at(now_ns: int) -> Iterator[None]:
    """Stop every clock of the `time` module at this moment."""
    with ExitStack() as stack:
        for name in ("time", "monotonic", "perf_counter"):
            stack.enter_context(mock.patch.object(time, name, return_value=now_ns / SECOND))
            stack.enter_context(mock.patch.object(time, f"{name}_ns", return_value=now_ns))
        yield


def check_outputs_stay(subject: Subject) -> str | None:
    """What was said stays said: no later tick may write into an earlier output."""
    feed = Feed(subject.make(), 2)
    kept = [copied(feed.tick(row)) for row in noise(80, 2)]
    if not all(same(leaves(now), then) for now, then in zip(feed.said, kept, strict=True)):
        return "an output changed after it was returned"
    return None


def check_the_future_is_unknown(subject: Subject) -> str | None:
    """Two streams that agree up to a tick get the same answers up to that tick."""
    values = noise(_WARM + 40, 2)
    other = values.copy()
    other[_WARM:] += 50.0
    first = Feed(subject.make(), 2).all(values[: _WARM + 1])
    second = Feed(subject.make(), 2).all(other)
    if not same(first.said[:_WARM], second.said[:_WARM]):
        return "a later value changed an earlier answer"
    return None


def check_state_is_bounded(subject: Subject) -> str | None:
    """The state keeps its size, holds arrays only, and fits in 8 KiB a series."""
    feed = Feed(subject.make(), 4)
    feed.all(noise(60, 4))
    early = sum(leaf.nbytes for leaf in leaves(feed.state))
    feed.all(noise(440, 4, seed=2))
    late = sum(leaf.nbytes for leaf in leaves(feed.state))
    if late != early:
        return f"the state grew from {early} to {late} bytes"
    if late > 4 * _MOST_BYTES:
        return f"{late // 4} bytes a series, more than {_MOST_BYTES}"
    return None


def check_state_can_be_stored(subject: Subject) -> str | None:
    """A state written as bytes and read back goes on bit for bit."""
    values = noise(120, 3)
    whole = Feed(subject.make(), 3).all(values)
    half = Feed(subject.make(), 3).all(values[:60])
    stored = [(leaf.tobytes(), leaf.dtype, leaf.shape) for leaf in leaves(half.state)]
    read = [np.frombuffer(data, dtype).reshape(shape) for data, dtype, shape in stored]
    rest = Feed(subject.make(), 3)  # a new process: nothing but the state survives
    rest.state = rebuilt(half.state, iter(read))
    rest.all(values[60:])
    if not same(whole.said[60:], rest.said):
        return "a stored state does not go on where it stopped"
    return None


def check_any_number_of_rows(subject: Subject) -> str | None:
    """One row and a thousand get one answer each, of the right type."""
    for series in (1, 1000):
        feed = Feed(subject.make(), series).all(noise(40, series))
        for name, part in zip(feed.said[-1]._fields, feed.said[-1], strict=True):
            wanted = bool if name == "alarm" else float
            if part.shape != (series,) or part.dtype != wanted:
                return (
                    f"{name} is {part.dtype}{list(part.shape)} "
                    f"for {series} rows, wanted {wanted.__name__}[{series}]"
                )
    return None


def check_rows_come_last(subject: Subject) -> str | None:
    """Every part of the state that grows with the series has them as its last axis.

    Fleets grow: states are carried over row by row, without knowing what they mean.
    """
    few, many = (leaves(subject.make().init(np, series)) for series in (7, 11))
    for a, b in zip(few, many, strict=True):
        wanted = (*a.shape[:-1], 11) if a.shape != b.shape else a.shape
        if b.shape != wanted or (a.shape != b.shape and a.shape[-1] != 7):  # noqa: PLR2004
            return f"a state of 7 rows has {a.shape}, of 11 rows {b.shape}: rows must come last"
    return None


def check_numpy_and_jax_agree(subject: Subject) -> str | None:
    """The same step compiled by JAX says the same, within single precision."""
    try:
        import jax  # noqa: PLC0415 - optional: the extra [twin]
        import jax.numpy as jnp  # noqa: PLC0415
    except ImportError:  # pragma: no cover - the kit's own tests have it
        return None
    detector = subject.make()

    class Out(NamedTuple):
        score: Any
        alarm: Any

    def step(state: Any, row: Any) -> tuple[Any, Out]:
        after, output = detector.step(jnp, state, row, jnp.ones(8, dtype=bool))
        return after, Out(output.neg_log10_p, output.alarm)

    values = noise(_WARM, 8)
    values[-30:, :4] += 12.0
    ours, theirs, state = Feed(subject.make(), 8).all(values), [], detector.init(jnp, 8)
    try:
        compiled = jax.jit(step)
        for row in values:
            state, out = compiled(state, row)
            theirs.append(out)
    except (TypeError, jax.errors.JAXTypeError) as error:
        return f"JAX cannot trace the step: {error}"
    scores = np.array([np.asarray(out.score, dtype=float) for out in theirs])
    if not np.allclose(ours.scores(), scores, rtol=0.05, atol=0.05, equal_nan=True):
        return "numpy and jax.numpy give different scores"
    flipped = (np.array([np.asarray(out.alarm) for out in theirs]) != ours.alarms()).mean()
    # Single precision may flip an alarm on the very limit, and only there.
    return f"numpy and jax.numpy differ on {flipped:.1%} of alarms" if flipped > 0.001 else None  # noqa: PLR2004


CHECKS: Final[tuple[Callable[[Subject], str | None], ...]] = (
    check_any_number_of_rows,
    check_rows_come_last,
    check_state_is_left_alone,
    check_outputs_stay,
    check_nothing_is_hidden,
    check_state_is_bounded,
    check_state_can_be_stored,
    check_the_future_is_unknown,
    judgement.check_it_answers,
    judgement.check_a_gap_is_unknown,
    judgement.check_it_is_not_mute,
    judgement.check_false_alarms,
    judgement.check_silence_teaches_nothing,
    judgement.check_a_constant_is_no_alarm,
    check_numpy_and_jax_agree,
)
"""Every promise, in the order in which they are checked."""
