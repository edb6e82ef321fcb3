"""`homeostat detect --method shesd-exact`: Seasonal Hybrid ESD as it was published, on whole files.

It is the batch form, which looks at all rows before it says anything of the first: what it says of
a row is no answer that could have been given when the row came, and changes when rows are added. So
it takes files alone, goes on from no state, and stands beside no other method.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from homeostat.cli import detect_methods
from homeostat.cli.detect_job import Job
from homeostat.cli.detect_layout import InputError
from homeostat.detect.shesd_exact import Threshold
from homeostat.detect.shesd_whole import Asked, Judged, judge
from homeostat.stats.esd import Direction

NAME: Final = detect_methods.WHOLE
_MOST: Final = 4_000_000_000  # bytes that a file may take: more than four million rows
# Bytes while a file is judged, measured with 100,000 rows of one column and of four: most of it is
# the lines of the output and the sorted values of one column.
_ROW: Final = 850
_CELL: Final = 60
_SEASONS_S: Final = (86_400.0, 604_800.0)  # seasons to ask about first: a day, a week
_LEAST: Final = 2  # ticks of a season
_SHARE: Final = 0.49  # a median breaks down where half of the values are anomalous


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a person typed; None where nothing was.

    Attributes:
        period: `--period`.
        longterm: `--longterm`.
        max_anomalies: `--max-anomalies`.
        alpha: `--alpha`.
        direction: `--direction`.
        threshold: `--threshold`.
        only_last: `--only-last`.
    """

    period: int | None = None
    longterm: int | None = None
    max_anomalies: float | None = None
    alpha: float | None = None
    direction: str | None = None
    threshold: str | None = None
    only_last: bool = False


def asked(methods: Sequence[str], given: Given, others: Mapping[str, bool]) -> Asked | None:
    """Return what is looked for; None where another method judges.

    Args:
        methods: `--method`.
        given: Options of this method.
        others: Options that it has no use for, and whether each was given.

    Raises:
        InputError: A value is impossible, or options do not go together.
    """
    if NAME not in methods:
        typed = [name for name, value in _named(given).items() if value not in {None, False}]
        if typed:
            raise InputError(
                f"{typed[0]}: is an option of --method {NAME}; give that method, or leave it out"
            )
        return None
    for name, is_given in others.items():
        if is_given:
            raise InputError(
                f"{name}: does not go with --method {NAME}, which looks at a whole file before it "
                "says anything of its first row; leave it out, or take --method shesd, its causal "
                "form"
            )
    if len(methods) > 1:
        raise InputError(
            f"--method {','.join(methods)}: {NAME} looks at later rows too and stands beside no "
            "causal method; run it by itself, into another --output"
        )
    _check(given)
    usual = Asked()
    return Asked(
        period=given.period,
        direction=usual.direction if given.direction is None else Direction(given.direction),
        alpha=usual.alpha if given.alpha is None else given.alpha,
        max_anoms=usual.max_anoms if given.max_anomalies is None else given.max_anomalies,
        longterm_period=given.longterm,
        only_last=given.only_last,
        threshold=None if given.threshold is None else Threshold(given.threshold),
    )


def foretold(jobs: Sequence[Job]) -> str:
    """Return in words what judging takes, before it starts."""
    most = max(_bytes(job) for job in jobs)
    return f", by {NAME}, each file whole in memory: about {max(most / 1e6, 1.0):,.0f} MB"


def play(job: Job, how: Asked, advance: Callable[[int], None]) -> None:
    """Judge one input whole, and write what is said of it.

    Args:
        job: The input and its output.
        how: What is looked for.
        advance: Called with the number of rows that were judged.

    Raises:
        InputError: There are too many rows for the memory.
        ConfigError: The output cannot be written.
    """
    if _bytes(job) > _MOST:
        raise InputError(
            f"{job.source}: {job.scan.rows:,} rows would take {_bytes(job) / 1e9:.1f} GB of memory "
            f"and --method {NAME}, which holds them all, takes {_MOST / 1e9:.1f} GB at most; cut "
            "the file, or take --method shesd, which is causal and needs no more for a longer file"
        )
    try:
        values = job.take(job.scan.rows + job.scan.blank)
        found = judge(values, how, hints=_hints(job.scan.step_s))
        job.scan.notes += _notes(job.columns, found, how)
        advance(job.give(found.said))
        job.finish()
    except BaseException:
        job.abandon(keep=False)
        raise


def _check(given: Given) -> None:
    """Refuse values that the test cannot have.

    Raises:
        InputError: Names the option, its value and the range.
    """
    if given.period is not None and given.period < _LEAST:
        raise InputError(
            f"--period {given.period}: a season has {_LEAST} ticks at least (1440 is a day of "
            "minutes); leave it out to have it found"
        )
    least = _LEAST * (given.period or _LEAST)
    if given.longterm is not None and given.longterm < least:
        raise InputError(
            f"--longterm {given.longterm}: a piece holds two seasons at least, {least} ticks; give "
            "more, or leave it out for one piece"
        )
    share, alpha = given.max_anomalies, given.alpha
    if share is not None and not 0.0 < share <= _SHARE:
        raise InputError(
            f"--max-anomalies {share:g}: must be above 0 and at most {_SHARE} of the rows, because "
            "the median breaks down at half; 0.02 is one in fifty"
        )
    if alpha is not None and not 0.0 < alpha < 1.0:
        raise InputError(
            f"--alpha {alpha:g}: must be above 0 and below 1, a probability; 0.05 is usual"
        )
    words = (
        ("--direction", given.direction, Direction),
        ("--threshold", given.threshold, Threshold),
    )
    for name, text, kind in words:
        if text is not None and text not in list(kind):
            raise InputError(f"{name} {text!r}: is none; give one of {', '.join(kind)}")


def _named(given: Given) -> dict[str, object]:
    return {
        "--period": given.period,
        "--longterm": given.longterm,
        "--max-anomalies": given.max_anomalies,
        "--alpha": given.alpha,
        "--direction": given.direction,
        "--threshold": given.threshold,
        "--only-last": given.only_last,
    }


def _bytes(job: Job) -> int:
    """Return about how much memory it takes to judge an input."""
    return (job.scan.rows + job.scan.blank) * (_ROW + _CELL * len(job.columns))


def _hints(step_s: float | None) -> tuple[int, ...]:
    """Return a day and a week in ticks, where ticks divide them.

    >>> _hints(60.0), _hints(7.0), _hints(None)
    ((1440, 10080), (86400,), ())
    """
    if step_s is None or not step_s > 0.0:
        return ()
    ticks = [one / step_s for one in _SEASONS_S]
    return tuple(int(one) for one in ticks if one >= _LEAST and one == int(one))


def _notes(columns: Sequence[str], found: Judged, how: Asked) -> list[str]:
    """Return what people should know of each column."""
    out = []
    for name, period, why in zip(columns, found.periods, found.unknown, strict=True):
        if why:
            fix = "; name its season with --period" if not period else ""
            out.append(f"{name} is unknown: {why}{fix}")
        elif how.period is None:
            out.append(f"{name} has a season of {period:,} ticks, found by itself")
    return out
