"""How fast: ours beside peers, in one run, in turn, with the spread of the repeats; never kept.

Peers and ours go through the same real files; ours also through many series side by side, which
peers, who keep one model a series, do no faster. Points per second of processor time of one core.
"""

import statistics
import time
from typing import Any, Final

import numpy as np

import test_stack_speed as stack_speed
import test_vae_speed as vae_speed
from detection import peers, playing, sets
from detection.made import Asked
from detection.rows import Found, Outcome
from detection.sets import Recording
from homeostat.detect.vae_config import Config
from homeostat.detect.vae_model import fit

FILES: Final = (
    "realAWSCloudwatch/ec2_cpu_utilization_24ae8d.csv",
    "realKnownCause/nyc_taxi.csv",
    "realKnownCause/machine_temperature_system_failure.csv",
    "realTweets/Twitter_volume_AAPL.csv",
)
_ROWS: Final = {"long": 4032, "short": 4032, "sample": 700}
_REPEATS: Final = {"long": 5, "short": 3, "sample": 2}
_SERIES: Final = {"long": (1, 29, 1_000, 8_000), "short": (1, 29, 1_000, 8_000), "sample": (1, 40)}
_GROWTH: Final = {"long": 100_000, "short": 20_000, "sample": 80}
_SEVERAL: Final = {"long": ((4, 38), (64, 38)), "short": ((4, 38), (64, 38)), "sample": ((2, 4),)}


def speeds(asked: Asked) -> Outcome:
    """Return the rows of speed.

    Raises:
        FileNotFoundError: The real files are not there.
    """
    size = asked.size("speed")
    some = [
        sets.beginning(sets.nab_file(sets.nab_root() / "data" / name), _ROWS[size])
        for name in FILES
    ]
    beside = None if asked.bare else peers.rates(_values(some), repeats=_REPEATS[size])
    real = _files(some, _REPEATS[size])
    screen = {count: stack_speed.rates(count, 1) for count in _SERIES[size]}
    many = _GROWTH[size]
    screen[many] = stack_speed.rates(many, 1)
    several = {form: stack_speed.rates(*form) for form in _SEVERAL[size]}
    others = {} if beside is None else beside.rates
    found = _rows(screen, several, others, short=size != "long")
    seconds, how = _week(size)
    found["speed.vae"] = Found(seconds, how, short=asked.sample)
    lines = ["| what | points/s | range | KiB a column |", "|---|---:|---:|---:|"]
    lines += [_line(f"ours: {what}", rates) for what, rates in real.items()]
    lines += [
        _line(f"ours: {count:,} made-up series", rates, held)
        for count, (rates, held) in screen.items()
    ]
    lines += [
        _line(f"ours: {form[0]} made-up entities of {form[1]} columns", rates, held)
        for form, (rates, held) in several.items()
    ]
    lines += [_line(who, rates) for who, rates in others.items()]
    return Outcome(found, "\n".join([*lines, "", _ratios(screen, real, beside, some)]))


def _rows(screen: Any, several: Any, others: Any, *, short: bool) -> dict[str, Found]:
    best = max(screen, key=lambda count: statistics.median(screen[count][0]))
    together = max(several, key=lambda form: statistics.median(several[form][0]))
    said = ", ".join(f"{who} {statistics.median(rates):,.0f}" for who, rates in others.items())
    first, last = sorted(screen)[-2:]
    few = 1_000 if 1_000 in screen else first
    growth = statistics.median(screen[few][0]) / statistics.median(screen[last][0])
    held = {count: bytes_ / 1024.0 for count, (_, bytes_) in screen.items()}
    wide = {form: bytes_ / 1024.0 for form, (_, bytes_) in several.items()}
    return {
        "speed.screen": _rate(
            screen[best][0], f"{best:,} series side by side, the best of all sizes", said
        ),
        "speed.stack": _rate(
            several[together][0],
            f"{together[0]} entities of {together[1]} columns, the best of all sizes",
            "River HST 753,000 with 38 columns (quoted: 19,800 rows/s)",
        ),
        "speed.growth": Found(
            growth,
            f"at {last:,} series, against {few:,}",
            short=short,
        ),
        "speed.bytes": Found(
            max(held.values()),
            f"one column; with several columns {max(wide.values()):.1f} each",
        ),
    }


def _rate(rates: list[float], how: str, said: str) -> Found:
    return Found(
        statistics.median(rates),
        f"{how}; median of {len(rates)}",
        min(rates),
        max(rates),
        of="range",
        peers=said or "not installed: `make bench-detection` does it",
    )


def _values(some: list[Recording]) -> list[Any]:
    return [one.read.values[:, 0] for one in some]


def _files(some: list[Recording], repeats: int) -> dict[str, list[float]]:
    """Return the rates of real files one after the other, and side by side."""
    playing.played([sets.beginning(one, 50) for one in some])  # imports and caches
    points = sum(len(one.read.values) for one in some)
    alone, beside = [], []
    for _ in range(repeats):
        began = time.process_time()
        playing.played(some[:1])
        alone.append(len(some[0].read.values) / (time.process_time() - began))
        began = time.process_time()
        playing.played(some)
        beside.append(points / (time.process_time() - began))
    return {"one real file": alone, f"{len(some)} real files side by side": beside}


def _week(size: str) -> tuple[float, str]:
    """Return the seconds that the autoencoder learns a week in; a sample learns less of it."""
    if size == "sample":
        started = time.process_time()
        values = vae_speed.week()[:800]
        fit(Config(rounds=1), values, np.ones(len(values), dtype=bool))
        return time.process_time() - started, "a sample of it"
    _, seconds = vae_speed.trained()
    return seconds, f"{vae_speed.WEEK:,} ticks of {vae_speed.COLUMNS} columns, once"


def _ratios(screen: Any, real: Any, beside: peers.Rates | None, some: list[Recording]) -> str:
    """Return how many times each peer's rate ours is, and on what."""
    what = f"Real files: the first {len(some[0].read.values):,} rows of {', '.join(FILES)}."
    if beside is None:
        return f"{what} Peers were not there: no ratios."
    single = statistics.median(next(iter(real.values())))
    many = max(statistics.median(rates) for rates, _ in screen.values())
    lines = [f"{what} Peers: {beside.versions}. Ours, times theirs, of medians:", ""]
    for who, rates in beside.rates.items():
        theirs = statistics.median(rates)
        lines.append(
            f"- {who}: {single / theirs:.2g} with one file alone, {many / theirs:.2g} with many "
            "series side by side"
        )
    return "\n".join(lines)


def _line(what: str, rates: list[float], held: float | None = None) -> str:
    size = "" if held is None else f"{held / 1024.0:.1f}"
    return (
        f"| {what} | {statistics.median(rates):,.0f} | {min(rates):,.0f} to {max(rates):,.0f} | "
        f"{size} |"
    )
