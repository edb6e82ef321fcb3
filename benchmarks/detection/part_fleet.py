"""The fleet's false discovery rate: five families of made-up noise, and joined normal days.

The chain is the product's, measured as the tests hold it to the gate
(`tests/stats/test_fdr_fleet.py`): false may be the promise and three standard errors of it at as
many alarms. Alarms of one fleet depend on each other, so intervals are too narrow if anything.
"""

from typing import Any, Final, NamedTuple

import numpy as np

from detection import normal_days
from detection.made import Asked, of_tests
from detection.rows import Found, Outcome
from homeostat.stats.exact import clopper_pearson

_TESTS: Final = "stats/test_fdr_fleet.py"
_FORMS: Final = {"long": (10_000, 200), "short": (300, 40), "sample": (40, 8)}
"""Series, and how many of them fall ill."""
_REAL: Final = {
    "long": (("nab", 288, 400, 10), ("aiops", 288, 210, 10), ("aiops", 1440, 110, 8)),
    "short": (("nab", 288, 60, 10),),
    "sample": (("nab", 288, 10, 3),),
}
"""Set, ticks of a day, series, days before any falls ill."""
TOLD: Final = "told"
"""What the product tells, one alarm an incident; a row is of it. LORD++ and SAFFRON, with each
block a test, stand beside it."""


class Judged(NamedTuple):
    """What alarms of one fleet came to.

    Attributes:
        fleet: Which.
        way: Of telling.
        counted: As the tests count it.
        shifts: How many there were.
    """

    fleet: str
    way: str
    counted: Any
    shifts: int


def fleets(asked: Asked) -> Outcome:
    """Return the rows of the fleet gate. Joined normal days are left out where the sets are not."""
    size, tests = asked.size("fleet"), of_tests(_TESTS)
    series, ill = _FORMS[size]
    made = [
        one
        for family in tests.FAMILIES
        for one in _judged(
            tests, family, tests.play(family, series=series, ill=ill, seed=asked.seed)
        )
    ]
    how = f"{series:,} series a family, {ill} of them shifted"
    found = _worst(made, "fleet.false", "fleet.power", how, short=size != "long")
    real, why = [], ""
    try:
        for form in _REAL[size]:
            real += _judged(tests, f"{form[0]}, {form[1]} a day", _real(tests, form, asked.seed))
    except FileNotFoundError as error:
        why = f"joined normal days: {error}"
    if real:
        fleets_of = ", ".join(f"{form[2]} of {form[0]}" for form in _REAL[size])
        how = f"series: {fleets_of}; shifts of 8 robust deviations for 32 ticks"
        found |= _worst(real, "fleet.real_false", "fleet.real_power", how, short=size != "long")
    return Outcome(found, _table([*made, *real]), why)


def _judged(tests: Any, fleet: str, played: Any) -> list[Judged]:
    shifts = int(played.ill.any(axis=0).sum())
    return [Judged(fleet, way, one, shifts) for way, one in tests.every_way(played)]


def _real(tests: Any, form: tuple[str, int, int, int], seed: int) -> Any:
    """Play a fleet of joined normal days, a fifth of which shift by eight robust deviations."""
    name, ticks, series, warm_days = form
    rng = np.random.default_rng(seed)
    sources = normal_days.sources(name, ticks)
    values, sd = normal_days.drawn(sources, series, warm_days + 1, rng)
    warm, ill = warm_days * ticks, series // 5
    onset = np.full(series, 10**9)
    sick = rng.permutation(series)[:ill]
    onset[sick] = warm + rng.integers(0, ticks - tests.LASTS, ill)
    shift = tests.SHIFT * sd * rng.choice([-1.0, 1.0], series)
    fleet = tests.fleet_of(series, seasonal=True, warm=warm)
    tested = ticks // tests.BLOCK * tests.BLOCK
    return tests.run(fleet, values, onset, shift, warm=warm, tested=tested)


def _worst(
    every: list[Judged], false: str, power: str, how: str, *, short: bool
) -> dict[str, Found]:
    """Return both rows: the fleet that is farthest above its bound, and the one least found."""
    told = [one for one in every if one.way == TOLD]
    high = max(
        [one for one in told if one.counted.alarms] or told,
        key=lambda one: one.counted.share - one.counted.bound,
    )
    low = min(told, key=lambda one: one.counted.found)
    alarms = high.counted.alarms
    between = (
        clopper_pearson(round(high.counted.share * alarms), alarms) if alarms else (None, None)
    )
    shifts = clopper_pearson(round(low.counted.found * low.shifts), low.shifts)
    return {
        false: Found(
            # Of no alarm at all no share is false, nor any true.
            float(high.counted.share) if alarms else float("nan"),
            f"{how}; worst: {high.fleet}, {alarms} alarms",
            low=between[0],
            high=between[1],
            asked=float(high.counted.bound),
            peers=f"{_others(every, 'share')}; Benjamini & Hochberg a tick 0.24 (normal) to 0.99 "
            "(quoted)",
            short=short,
        ),
        power: Found(
            float(low.counted.found),
            f"{how}; worst: {low.fleet}",
            low=shifts[0],
            high=shifts[1],
            peers=_others(every, "found"),
            short=short,
        ),
    }


def _others(every: list[Judged], field: str) -> str:
    """Return the worst of each other way of telling, in words."""
    ways = dict.fromkeys(one.way for one in every if one.way != TOLD)
    worst = max if field == "share" else min
    return ", ".join(
        f"{way} {worst(getattr(one.counted, field) for one in every if one.way == way):.3f}"
        for way in ways
    )


def _table(every: list[Judged]) -> str:
    lines = ["| fleet | alarms of | alarms | false | allowed | found |"]
    lines.append("|---|---|---:|---:|---:|---:|")
    for fleet, way, one, _ in every:
        lines.append(
            f"| {fleet} | {way} | {one.alarms} | {one.share:.3f} | {one.bound:.3f} | "
            f"{one.found:.2f} |"
        )
    return "\n".join(lines)
