"""Prints how forecasts do on synthetic families and public recordings, as tables.

    PYTHONPATH=benchmarks python -m forecasting [--sets synthetic,msft_cloud60,nab] [--rows N]

The limit of a series is the 99.5 % quantile of its first half, and its second half is judged; one
default configuration, causal, no labels. Skill is 1 - Brier / Brier of the rival: 0 is as good,
1 is perfect. `rate` rivals are the same with the frequency learnt so far instead of 0 and 1.
Real recordings: 1, 3 and 12 ticks ahead (5, 15, 60 minutes at a tick of five minutes), and 5, 15
and 60 where ticks are a minute or less.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "detect"))

from forecast_families import DAY, families
from forecast_play import Floats, Played, covered, passed, play_with_season, rivals, skills
from forecast_recordings import FILES, groups


def main() -> None:
    """Run the sets that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", default="synthetic,msft_cloud60,nab")
    parser.add_argument("--rows", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=11)
    asked = parser.parse_args()
    print(
        "| series | ticks | breaches | persistence | its rate | seasonal-naive | its rate | 90 % |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name in asked.sets.split(","):
        if name == "synthetic":
            _synthetic(asked.seed)
        elif name in FILES:
            _recorded(name, asked.rows)
        else:
            parser.error(f"no set {name!r}; there are synthetic, {', '.join(FILES)}")


def _synthetic(seed: int) -> None:
    horizons, series = (3, 10, 40), 24
    names, kinds = zip(*families(2400, series, seed), strict=True)
    values = np.concatenate(kinds, axis=1)
    limit = np.quantile(values[:1200], 0.995, axis=0)
    half = np.full(values.shape[1], 1200)
    played = play_with_season(values, limit, horizons, (DAY,))
    for number, name in enumerate(names):
        rows = slice(number * series, (number + 1) * series)
        _tell(name, values[:, rows], limit[rows], half[rows], _of(played, rows), horizons, DAY)


def _of(played: Played, rows: slice) -> Played:
    return played._replace(
        points=played.points[..., rows],
        quantiles=played.quantiles[..., rows],
        chance=played.chance[..., rows],
    )


def _recorded(which: str, most: int) -> None:
    for day, horizons, values, half, limit in groups(which, most):
        began = time.process_time()
        played = play_with_season(values, limit, horizons, (day,))
        took = time.process_time() - began
        series = values.shape[1]
        print(f"{which}: {series} series, {took:.0f} s of processor time", file=sys.stderr)
        title = f"{which}, {series} series of {day} ticks a day"
        _tell(title, values, limit, half, played, horizons, day)


def _tell(
    name: str,
    values: Floats,
    limit: Floats,
    half: np.ndarray[Any, np.dtype[np.int64]],
    played: Played,
    horizons: tuple[int, ...],
    season: int,
) -> None:
    judged = np.arange(len(values))[:, None] >= half
    seen = played._replace(quantiles=np.where(judged[:, None, None], played.quantiles, np.nan))
    inside = covered(seen, values, horizons, skip=0)
    for head, horizon in enumerate(horizons):
        came = passed(values, limit, horizon)
        said, counted = played.chance[: len(came), head], judged[: len(came)]
        skill = skills(said, came, rivals(values, limit, horizon, season), counted)
        told = [skill[key] for key in ("still", "still_rate", "yesterday", "yesterday_rate")]
        figures = " | ".join(f"{one:+.2f}" for one in told)
        share = np.nanmean(np.where(counted, came, np.nan))
        print(f"| {name} | {horizon} | {share:.1%} | {figures} | {inside[head]:.1%} |", flush=True)


if __name__ == "__main__":
    main()
