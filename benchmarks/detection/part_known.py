"""Detectors whose answers are known: Twitter's program, and the textbook's run lengths.

Both are measured with what the tests measure them with (`made.of_tests`), so that a table and a
test cannot mean different things.
"""

import json
import statistics
import time
from typing import Any, Final

import numpy as np

from detection import sets
from detection.made import Asked, of_tests
from detection.rows import Found, Outcome
from homeostat.detect.ewma import Config, Ewma
from homeostat.detect.shesd_exact import Options, shesd

_REPEATS: Final = {"long": 9, "short": 5, "sample": 2}
_SESD: Final = "sesd 1,240 points/s in an earlier measurement (this length would take 12 s)"
_RUNS: Final = {"long": 6000, "short": 1500, "sample": 40}
_SERIES: Final = {"long": (4000, 4000), "short": (300, 1500), "sample": (30, 300)}
_SEEDS: Final = {"long": 3, "short": 4, "sample": 2}


def oracles(name: str) -> Any:
    """Return what an oracle says.

    Raises:
        FileNotFoundError: It is not beside the data.
    """
    path = sets.SHARED / "oracles" / name
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: the known answers are not there; put the folder of oracles beside the data, "
            f"into {sets.SHARED}"
        )
    return json.loads(path.read_text(encoding="utf-8"))


def seasonal(asked: Asked) -> Outcome:
    """Return in how many golden sets S-H-ESD finds what Twitter's program does, and its time.

    Raises:
        FileNotFoundError: The answers, or a series that they are of, are not there.
    """
    golden, tests = oracles("shesd_golden.json"), of_tests("detect/test_shesd_exact.py")
    held, lines = 0, ["| golden set | rows | anomalies | identical |", "|---|---:|---:|---|"]
    for name in sorted(golden):
        answer = golden[name]
        values = _values(tests, name)
        found = shesd(values, tests.options(answer["args"]))
        wanted = sorted(np.atleast_1d(answer["index1"]).astype(int).tolist())
        same = len(values) == answer["n"] and (found.index + 1).tolist() == wanted
        held += same
        said = "yes" if same else f"**no**: {len(found.index)} found"
        lines.append(f"| {name} | {len(values):,} | {len(wanted)} | {said} |")
    values = _values(tests, "twitter_both_002")
    times = [
        _seconds(values, Options(period=1440, max_anoms=0.02))
        for _ in range(_REPEATS[asked.size("shesd")])
    ]
    how = f"median of {len(times)} runs on Twitter's own series, processor time"
    spread = Found(statistics.median(times), how, min(times), max(times), of="range", peers=_SESD)
    found_sets = Found(float(held), f"of {len(golden)}, against Twitter's own program in R")
    return Outcome({"shesd.sets": found_sets, "shesd.seconds": spread}, "\n".join(lines))


def charts(asked: Asked) -> Outcome:
    """Return how far the chart is from the oracle's run lengths, and from nominal under AR(1).

    Raises:
        FileNotFoundError: The oracle is not there.
    """
    table = oracles("control_chart_oracles.json")["ewma_arl_zero_state"]
    tests, size = of_tests("detect/test_ewma_run_lengths.py"), asked.size("ewma")
    runs = _RUNS[size]
    lines = ["| smoothing | limit | shift | oracle | ours | standard errors |"]
    lines.append("|---:|---:|---:|---:|---:|---:|")
    away = []
    for row in table[:2] if asked.sample else table:
        for shift, expected in row["ARL_at_shift_sigma"].items():
            chart = tests.textbook(row["lambda"], row["L"])
            lengths = tests.run_lengths(chart, float(shift), runs=runs, seed=asked.seed)
            error = lengths.std(ddof=1) / np.sqrt(runs)
            # The oracle is printed with two decimals.
            far = max(abs(lengths.mean() - expected) - 0.005, 0.0) / error
            away.append(far)
            lines.append(
                f"| {row['lambda']:g} | {row['L']:g} | {shift} | {expected:.2f} | "
                f"{lengths.mean():.2f} | {far:.2f} |"
            )
    beyond = sum(one > 3.0 for one in away)
    by_chance = 1.0 - 0.9973 ** len(away)
    short = size != "long"
    found = {
        "ewma.table": Found(
            max(away),
            f"{len(away)} run lengths of {runs:,} runs each, {beyond} beyond three standard "
            f"errors (of a chart that is right one is in {by_chance:.0%} of such tables)",
            peers="nominal 500 falls to 33 under AR(1) 0.9 without whitening (quoted)",
            short=short,
        ),
        "ewma.correlated": _correlated(tests, asked),
    }
    return Outcome(found, "\n".join(lines))


def _correlated(tests: Any, asked: Asked) -> Found:
    size = asked.size("ewma")
    series, ticks = _SERIES[size]
    chart = Ewma(Config(limit_sigmas=tests.LIMIT, spike_sigmas=tests.NEVER))
    plain = Ewma(Config(limit_sigmas=tests.LIMIT, spike_sigmas=tests.NEVER, whiten=False))
    lengths = [
        tests.false_alarm_run_length(chart, 0.9, series=series, ticks=ticks, seed=seed)
        for seed in range(asked.seed, asked.seed + _SEEDS[size])
    ]
    bare = tests.false_alarm_run_length(
        plain, 0.9, series=min(series, 300), ticks=min(ticks, 500), seed=asked.seed
    )
    times = [one / tests.NOMINAL for one in lengths]
    return Found(
        statistics.fmean(times),
        f"{len(times)} seeds of {series:,} series and {ticks:,} ticks, nominal {tests.NOMINAL:g}",
        min(times),
        max(times),
        of="range of seeds",
        peers=f"the same chart without whitening {bare / tests.NOMINAL:.2f}",
        short=size != "long",
    )


def _values(tests: Any, name: str) -> Any:
    """Return a golden set's series; the tests skip where it is not there.

    Raises:
        FileNotFoundError: It is not there.
    """
    wanted = (
        sets.SHARED / "oracles" / "twitter_raw_data.csv"
        if name.startswith("twitter")
        else sets.SHARED / "data" / "nab"
    )
    if not wanted.exists():
        raise FileNotFoundError(f"{wanted}: the series of {name} is not there; put it there")
    return tests.series(name)


def _seconds(values: Any, options: Options) -> float:
    began = time.process_time()
    shesd(values, options)
    return time.process_time() - began
