"""Brier scores of P(breach) in 5, 15 and 60 minutes on public recordings, beside two rivals.

As `python -m forecasting` measures it, by the same functions: the limit of a series is the 99.5 %
quantile of its first half, and its second half is judged. Of recordings with ticks of five minutes
or less, for an hour is the farthest that is asked for.
"""

from typing import Any, Final, NamedTuple

import numpy as np

from detection.made import Asked, of_tests

MINUTES: Final = (5, 15, 60)
RIVALS: Final = {"persistence": "still", "seasonal": "yesterday"}
"""Of the rows -> of `forecast_play.Rivals`; `..._rate` says the frequency learnt so far."""
_DAY: Final = 288  # ticks of five minutes
_FORMS: Final = {
    "long": (("nab", 4100, 1), ("msft_cloud60", 16_000, 1)),
    "short": (("nab", 4100, 1),),
    "sample": (("nab", 900, 8),),
}
"""Set, rows of each recording at most, every how many series one. The first four days of the
other set have their breaches in the half that sets the limit."""
_DRAWS: Final = 2000


class Skill(NamedTuple):
    """How much better than a rival; 0 is as good, 1 is perfect.

    Attributes:
        value: Over all series together.
        resampled: The same with series drawn again.
        rate: Against the rival in its stronger form.
    """

    value: float
    resampled: Any
    rate: float


class Breaches(NamedTuple):
    """What was measured.

    Attributes:
        skills: By minutes ahead and rival.
        how: Of how many of what, in words.
        text: A table of the sets.
    """

    skills: dict[tuple[int, str], Skill]
    how: str
    text: str


def measured(asked: Asked) -> Breaches:
    """Return the skills.

    Raises:
        FileNotFoundError: No recording is there.
    """
    recordings = of_tests("detect/forecast_recordings.py")
    every: list[dict[tuple[int, str], Any]] = []
    words, lines = [], ["| set | minutes ahead | breaches | persistence | seasonal-naive |"]
    lines.append("|---|---:|---:|---:|---:|")
    for which, rows, every_nth in _FORMS[asked.size("forecasts")]:
        for group in recordings.groups(which, rows):
            if group.day < _DAY:
                continue
            errors, came = _errors(group, every_nth)
            every.append(errors)
            series = len(errors[MINUTES[0], "ours"])
            words.append(f"{series} series of {which}, {rows:,} rows at most")
            for head, minutes in enumerate(MINUTES):
                cells = [_skill([errors], minutes, rival).value for rival in RIVALS]
                lines.append(
                    f"| {which}, {group.day} ticks a day | {minutes} | {came[head]:.1%} | "
                    + " | ".join(f"{one:+.2f}" for one in cells)
                    + " |"
                )
    if not every:
        raise FileNotFoundError("no recordings of five minutes or less under shared/data")
    skills = {
        (minutes, rival): _skill(every, minutes, rival) for rival in RIVALS for minutes in MINUTES
    }
    return Breaches(skills, "; ".join(words), "\n".join(lines))


def _errors(group: Any, every_nth: int) -> tuple[dict[tuple[int, str], Any], list[float]]:
    """Return summed squared errors `[series]` by minutes and whose they are; shares of breaches."""
    tests = of_tests("detect/forecast_play.py")
    some = slice(None, None, every_nth)
    values, half, limit = group.values[:, some], group.half[some], group.limit[some]
    played = tests.play_with_season(values, limit, group.horizons, (group.day,))
    judged = np.arange(len(values))[:, None] >= half
    out, shares = {}, []
    for head, (minutes, horizon) in enumerate(zip(MINUTES, group.horizons, strict=True)):
        came = tests.passed(values, limit, horizon)
        said, counted = played.chance[: len(came), head], judged[: len(came)]
        others = tests.rivals(values, limit, horizon, group.day)
        for name, errors in tests.squares(said, came, others, counted).items():
            out[minutes, name] = errors
        shares.append(float(np.nanmean(np.where(counted, came, np.nan))))
    return out, shares


def _skill(every: list[dict[tuple[int, str], Any]], minutes: int, rival: str) -> Skill:
    def of(name: str) -> Any:
        return np.concatenate([one[minutes, name] for one in every])

    def skill(theirs: Any, drawn: Any) -> Any:
        errors = theirs[drawn].sum(axis=-1)
        share = ours[drawn].sum(axis=-1) / np.where(errors > 0.0, errors, np.nan)
        return 1.0 - share

    ours, all_of = of("ours"), slice(None)
    theirs, rate = of(RIVALS[rival]), of(f"{RIVALS[rival]}_rate")
    drawn = np.random.default_rng(0).integers(len(ours), size=(_DRAWS, len(ours)))
    return Skill(float(skill(theirs, all_of)), skill(theirs, drawn), float(skill(rate, all_of)))
