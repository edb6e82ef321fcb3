"""What is measured of the canary judge, part by part; each returns a table in Markdown."""

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from homeostat.base.canary import ArmCounts, CanaryConfig, CanaryMetric, Counts
from homeostat.base.units import MINUTE, TimeNs
from homeostat.govern import canary
from homeostat.govern.canary_margin import measure
from homeostat.stats.ebh import e_bh
from homeostat.stats.exact import clopper_pearson, upper_bound
from homeostat.stats.share_bet_runs import Law, evidence, first, play
from safety import engine, judges, slow
from safety.worlds import ALPHAS, FAMILIES, MINUTES, RATIOS, SETTINGS, UNCOVERED

_MOST_RANKED: Final = 400  # runs of the Mann-Whitney judge: it compares all pairs of minutes


def detection(runs: int, seed: int) -> str:
    """Return how often and how soon each judge finds harm, false alarms in the first column."""
    lines = [_line(["setting", "judge", *(f"x{ratio:g}" for ratio in RATIOS)])]
    lines.append(_line(["---", "---", *["---:"] * len(RATIOS)]))
    for place, (name, law) in enumerate(SETTINGS.items()):
        cells: dict[str, list[str]] = {}
        for ratio in RATIOS:
            rng = np.random.default_rng([seed, place, round(100 * ratio)])
            worse = replace(law, ratio=ratio)
            counts = play(worse, minutes=MINUTES, runs=runs, rng=rng)
            found = {
                "**homeostat**, margin 1": judges.bets(counts),
                "**homeostat**, margin 1.2 (shipped)": judges.bets(counts, margin=1.2),
                "z-test each minute": judges.z_each_minute(counts),
                "Mann-Whitney each 5 min": judges.mann_whitney(counts[:, :, :_MOST_RANKED]),
                "Flagger, documented rule": judges.flagger(worse, runs, rng),
            }
            for who, times in found.items():
                cells.setdefault(who, []).append(_found(times))
        lines += [_line([name, who, *row]) for who, row in cells.items()]
    return "\n".join(lines)


def coverage(runs: int, seed: int) -> str:
    """Return false verdicts where the ratio is exactly at the promise, the hardest case."""
    wide = [f"alpha {alpha:g}" for alpha in ALPHAS]
    lines = [_line(["family", "verdict", *wide]), _line(["---", "---", *["---:"] * len(wide)])]
    broken = 0
    for place, (name, law) in enumerate(FAMILIES.items()):
        for verdict, ratio, safe in (("harm", 1.2, False), ("certificate", 2.0, True)):
            rng = np.random.default_rng([seed, 100 + place, safe])
            counts = play(replace(law, ratio=ratio), minutes=MINUTES, runs=runs, rng=rng)
            ln_e = evidence(counts, ratio, safe=safe).max(axis=0)
            false = [int((ln_e >= math.log(1.0 / alpha)).sum()) for alpha in ALPHAS]
            low = [clopper_pearson(events, runs)[0] for events in false]
            broken += sum(one > alpha for one, alpha in zip(low, ALPHAS, strict=True))
            lines.append(_line([name, verdict, *(_rate(events, runs) for events in false)]))
    return "\n".join([*lines, "", f"Promises shown broken (97.5 %): {broken}."])


def pods(runs: int, seed: int) -> str:
    """Return false alarms and finds where pods differ for as long as the run lasts."""
    lines = [
        _line(["pods differ by (sd)", "canary pods", "margin", "x1 (false)", "x2", "x3", "x5"]),
        _line(["---:", "---:", "---:", "---:", "---:", "---:", "---:"]),
    ]
    for spread in (0.3, 0.6):
        for count in (1, 2, 5):
            rng = np.random.default_rng([seed, 200, round(10 * spread), count])
            law = Law(requests=10_000.0, pod_sd=spread, pods=(count, 18))
            margins = learnt_margins(spread, count, runs, rng)
            cells = []
            for ratio in (1.0, 2.0, 3.0, 5.0):
                counts = play(replace(law, ratio=ratio), minutes=MINUTES, runs=runs, rng=rng)
                found = int(np.isfinite(first(evidence(counts, margins) >= math.log(20.0))).sum())
                cells.append(_rate(found, runs) if ratio == 1.0 else f"{100 * found / runs:.1f} %")
            middle = f"{np.median(margins):.2f}"
            lines.append(_line([f"{spread:g}", str(count), middle, *cells]))
    return "\n".join(lines)


def limits(runs: int, seed: int) -> str:
    """Return false alarms of an uncalibrated canary that is no worse, where nothing is promised."""
    lines = [_line(["what is not allowed for", "margin 1", "margin 1.2 (shipped)"])]
    lines.append(_line(["---", "---:", "---:"]))
    for place, (name, law) in enumerate(UNCOVERED.items()):
        rng = np.random.default_rng([seed, 600 + place])
        counts = play(law, minutes=MINUTES, runs=runs, rng=rng)
        false = [np.isfinite(judges.bets(counts, margin=margin)).sum() for margin in (1.0, 1.2)]
        lines.append(_line([name, *(_rate(int(events), runs) for events in false)]))
    return "\n".join(lines)


def whole(runs: int, seed: int) -> str:
    """Return what the shipped judge says in an hour: harm in vain and in earnest, certificates."""
    runs = max(50, runs // 20)  # each bucket of each run goes through the product
    laws: list[tuple[str, Law, int | None]] = [(name, SETTINGS[name], None) for name in _WHOLE]
    laws += [("10,000/min, pods differ (sd 0.3), 2 of 20", _PODS, 2)]
    lines = [_line(["setting", "judge", "x1 (false)", "x2", "x3", "certified at x1"])]
    lines.append(_line(["---", "---", *["---:"] * 4]))
    for place, (name, law, pods) in enumerate(laws):
        rows: dict[str, list[str]] = {"bets on errors": [], "**the whole judge**": []}
        certified = ""
        for ratio in (1.0, 2.0, 3.0):
            rng = np.random.default_rng([seed, 700 + place, round(100 * ratio)])
            margins = np.full(runs, 1.2) if pods is None else learnt_margins(0.3, pods, runs, rng)
            counts = play(replace(law, ratio=ratio), minutes=MINUTES, runs=runs, rng=rng)
            configs = [engine.config(float(one), pods, learnt=pods is not None) for one in margins]
            harm, safe = engine.verdicts(counts, configs, rng)
            alone = first(evidence(counts, margins) >= math.log(20.0))
            for times, cells in zip((alone, harm), rows.values(), strict=True):
                false = _rate(int(np.isfinite(times).sum()), runs)
                cells.append(false if ratio == 1.0 else _found(times))
            certified = certified or _found(safe)
        for (who, cells), last in zip(rows.items(), ("", certified), strict=True):
            lines.append(_line([name, who, *cells, last]))
    return "\n".join([*lines, "", f"{runs:,} runs a cell."])


_WHOLE: Final = ("1,000/min, 10 %", "1,000/min, 10 %, bursts", "10,000/min, 10 %")
_PODS: Final = Law(requests=10_000.0, pod_sd=0.3, pods=(2, 18))


def learnt_margins(spread: float, count: int, runs: int, rng: np.random.Generator) -> np.ndarray:
    """Return the margin that the product measures on 20 earlier pods over an hour, `[run]`."""
    out = np.empty(runs)
    for run in range(runs):
        own = np.exp(spread * rng.standard_normal(20) - 0.5 * spread * spread)
        bad = np.minimum(rng.poisson(30_000 * 0.005 * own), 30_000)
        window = {str(pod): (30_000.0, float(bad[pod])) for pod in range(20)}
        out[run] = measure([window], count, rng).ratio or 1.2
    return out


def certificates(runs: int, seed: int) -> str:
    """Return how soon a canary as good as stable is certified."""
    asked = (
        ("1,000/min, 10 %", Law(requests=1000.0), 2.0),
        ("1,000/min, 10 %", Law(requests=1000.0), 3.0),
        ("1,000/min, 10 %, bursts", Law(requests=1000.0, burst=8.0), 2.0),
        ("1,000/min, 50 %", Law(requests=1000.0, ramp=(0.5,)), 2.0),
        ("10,000/min, 10 %", Law(requests=10_000.0), 2.0),
        ("10,000/min, 10 %", Law(requests=10_000.0), 1.5),
    )
    lines = [_line(["setting", "certificate", "in an hour"]), _line(["---", "---:", "---:"])]
    for place, (name, law, below) in enumerate(asked):
        rng = np.random.default_rng([seed, 300 + place])
        counts = play(law, minutes=MINUTES, runs=runs, rng=rng)
        times = judges.certificate(counts, below)
        lines.append(_line([name, f"below {below:g}", _found(times)]))
    return "\n".join(lines)


def latency(runs: int, seed: int) -> str:
    """Return how soon slower answers are found in a histogram's default buckets."""
    lines = [_line(["requests", "judge", "x1", "x1.1", "x1.2", "x1.5"])]
    lines.append(_line(["---:", "---", "---:", "---:", "---:", "---:"]))
    for requests in (200, 1000):
        for margin in (1.0, 1.1):
            cells = []
            for slower in (1.0, 1.1, 1.2, 1.5):
                rng = np.random.default_rng([seed, 400, requests, round(100 * slower)])
                times = slow.found(requests, slower, margin, MINUTES, runs, rng)
                cells.append(_found(times))
            lines.append(_line([f"{requests:,}/min", f"homeostat, margin {margin:g}", *cells]))
    return "\n".join(lines)


def fleet(seed: int) -> str:
    """Return what a thousand canaries cost, and how true the list of harmful ones is."""
    rng = np.random.default_rng([seed, 500])
    shares, power = [], []
    for _ in range(20):
        harmed = rng.permutation(1000) < 50
        ln_e = np.empty(1000)
        for ratio, mine in ((1.0, ~harmed), (3.0, harmed)):
            law = Law(requests=1000.0, ratio=ratio)
            counts = play(law, minutes=MINUTES, runs=int(mine.sum()), rng=rng)
            ln_e[mine] = evidence(counts, 1.2)[-1]
        named = e_bh(np.exp(ln_e), 0.05)
        shares.append((named & ~harmed).sum() / max(1, named.sum()))
        power.append(named[harmed].mean())
    took = min(thousand(rng) for _ in range(5))
    cost = (
        f"- 1,000 canaries, errors and a histogram of ten bounds, one full bucket each: "
        f"{took:.2f} s of one core."
    )
    truth = (
        f"- e-BH at 5 % over 20 fleets of 1,000, 50 of them x3, after an hour at 1,000/min: of the "
        f"named {100 * np.mean(shares):.2f} % are harmless; {100 * np.mean(power):.1f} % of the "
        "harmful are named."
    )
    return f"{cost}\n{truth}"


def thousand(rng: np.random.Generator) -> float:
    """Return the seconds of processor that one bucket of 1,000 canaries takes."""
    bounds = tuple(float(b) for b in range(1, 11))
    errors = CanaryMetric(name="errors", promote_ratio=2.0)
    config = CanaryConfig(metrics=(errors, CanaryMetric(name="ms", margin=1.1, bounds=bounds)))
    cells = [1 / 11] * 11
    arms = [np.cumsum(rng.multinomial(n, cells)).astype(float).tolist() for n in (100, 900)]
    news = Counts(
        at=TimeNs(MINUTE), since=TimeNs(0), canary_total=100.0, canary_bad=1.0, stable_total=900.0,
        stable_bad=5.0,
        histograms=(ArmCounts(metric="ms", canary=tuple(arms[0]), stable=tuple(arms[1])),),
    )  # fmt: skip
    items = [(canary.init(config), news, config)] * 1000
    began = time.process_time()
    canary.step_many(items)
    return time.process_time() - began


def _found(times: np.ndarray) -> str:
    """Return percent found, and the median minute among all runs (a dash: not half of them)."""
    middle = float(np.median(times))
    share = 100.0 * np.isfinite(times).mean()
    return f"{share:.1f} % / {middle:.0f}" if math.isfinite(middle) else f"{share:.1f} % / -"


def _rate(events: int, runs: int) -> str:
    return f"{100 * events / runs:.2f} % (<= {100 * upper_bound(events, runs):.2f})"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
