"""The figures about the whole: killed controllers, wrong evidence, canaries.

As in `asked_kernel`, the short form tells only what so little can show.
"""

import math
import re
from dataclasses import replace
from typing import Final

import numpy as np

from homeostat.stats.exact import clopper_pearson, upper_bound
from homeostat.stats.share_bet_runs import Law, first, play
from homeostat.stats.share_bet_runs import evidence as share_evidence
from safety import judges, measured
from safety.figures import Figure
from safety.running import Form, pytest_run, told
from safety.worlds import FAMILIES, MINUTES, SETTINGS

_KILLS: Final = 500
_LEAST_FAULTS, _LEAST_CONTROL = 200, 0.95
_SLOWEST_THOUSAND_S: Final = 0.5
_LEAST_FOUND, _LATEST_MEDIAN, _ALPHA, _POINTS_MORE = 0.88, 25.0, 0.05, 0.05


def kills(form: Form) -> list[Figure]:
    """Kill real controllers at any moment, and read what they left."""
    count = _KILLS if form.long else 52
    # Two runs, one beside the other's seed: each kills half of what is asked.
    said = pytest_run(
        "tests/server/test_kill_live.py", "-k", "any_moment", "--timeout", "3600",
        more={"HOMEOSTAT_KILLS": str(-(-count // 2))},
    )  # fmt: skip
    lives = [tuple(map(int, one)) for one in _LIVES.findall(said.text)]
    killed, cut, writes = (sum(one[at] for one in lives) for at in range(3))
    ok = said.ok and len(lives) > 0
    return [
        Figure(
            what="kill -9 of a real controller: actions lost, doubled or misreported",
            asked=f"0 in >= {_KILLS}",
            measured=f"{'0' if ok else 'some'} in {killed:,}",
            interval=f"<= {upper_bound(0, killed):.3f} of kills" if ok else "",
            met=told(ok, enough=killed >= _KILLS),
        ),
        Figure(
            what="of these between an intent on record and its answer; writes that were tried",
            measured=f"{cut:,}; {writes:,}",
        ),
    ]


_LIVES: Final = re.compile(
    r"(\d+) kills, \d+ lives, (\d+) cut between intent and receipt, (\d+) writes"
)


def evidence(form: Form) -> list[Figure]:
    """Spoil what is read just before the loop would shrink or promote.

    Raises:
        SystemExit: The tests did not tell what they did.
    """
    if not form.long:
        said = pytest_run("tests/loop/sim/test_evidence_faults.py", "-m", "not sim")
        what, asked = "evidence faults after which it shrank or went on", f"0 of >= {_LEAST_FAULTS}"
        measured_ = "0 of a few" if said.ok else "some"
        return [Figure(what=what, asked=asked, measured=measured_, met=None if said.ok else False)]
    said = pytest_run("tests/loop/sim/test_evidence_faults.py", "-m", "sim")
    found = [(one[0], *map(int, one[1:])) for one in _FAULTS.findall(said.text)]
    if len(found) != 2:
        raise SystemExit(f"two kinds of evidence faults were to be told of, not {found}")
    faults, wrong = sum(one[1] for one in found), sum(one[2] for one in found)
    rows = [
        Figure(
            what="evidence faults after which it shrank or was promoted",
            asked=f"0 of >= {_LEAST_FAULTS}",
            measured=f"{wrong} of {faults}",
            interval=f"<= {100 * upper_bound(wrong, faults):.1f} % of such faults",
            met=wrong == 0 and faults >= _LEAST_FAULTS and said.ok,
        )
    ]
    for what, _, _, acted, runs in found:
        low, high = clopper_pearson(acted, runs)
        rows.append(
            Figure(
                what=f"the same runs {what} without the fault that do act",
                asked=f">= {100 * _LEAST_CONTROL:g} %",
                measured=f"{acted} of {runs}",
                interval=f"{100 * low:.0f} to {100 * high:.0f} %",
                met=acted >= _LEAST_CONTROL * runs,
            )
        )
    return rows


_FAULTS: Final = re.compile(
    r"evidence faults (before \w+): (\d+), of which (\d+) [\w ]+; "
    r"without a fault (\d+) of (\d+) did"
)


def thousand(form: Form) -> list[Figure]:
    """Judge a thousand canaries at once."""
    rng = np.random.default_rng([form.seed, 500])
    took = sorted(measured.thousand(rng) for _ in range(50 if form.long else 5))
    return [
        Figure(
            what="1,000 deployments judged, one bucket each, seconds of processor",
            asked=f"<= {_SLOWEST_THOUSAND_S:g}",
            measured=f"{took[len(took) // 2]:.2f}",
            interval=f"{took[0]:.2f} to {took[-1]:.2f} of {len(took)}",
            met=took[-1] <= _SLOWEST_THOUSAND_S,
        )
    ]


def canary(form: Form) -> list[Figure]:
    """Play canaries that are twice as bad, and canaries that are not."""
    runs = 2000 if form.long else 200
    rows = []
    for margin in (1.0, 1.2):
        rng = np.random.default_rng([form.seed, 800])
        counts = play(Law(requests=1000.0, ratio=2.0), minutes=MINUTES, runs=runs, rng=rng)
        times = judges.bets(counts, margin=margin)
        found, middle = int(np.isfinite(times).sum()), float(np.median(times))
        low, high = clopper_pearson(found, runs)
        which = f"margin {margin:g}{' (shipped)' * (margin > 1.0)}"
        rows.append(
            Figure(
                what=f"errors x2 found in an hour, 1,000 req/min, 10 %; median minute; {which}",
                asked=f">= {100 * _LEAST_FOUND:g} %; <= {_LATEST_MEDIAN:g}",
                measured=f"{100 * found / runs:.1f} %; {middle:.0f}",
                interval=f"{100 * low:.1f} to {100 * high:.1f} %",
                met=found >= _LEAST_FOUND * runs and middle <= _LATEST_MEDIAN,
            )
        )
    rows += [_in_vain(form, runs, margin) for margin in (1.0, 1.2)]
    return [*rows, _pods_in_vain(form, runs)]


def _in_vain(form: Form, runs: int, margin: float) -> Figure:
    """Return the most false rollbacks of all settings without effects of pods."""
    laws = {**SETTINGS, **{name: law for name, law in FAMILIES.items() if name not in SETTINGS}}
    worst, where = -1, ""
    for place, (name, law) in enumerate(laws.items()):
        rng = np.random.default_rng([form.seed, 900 + place])
        counts = play(replace(law, ratio=1.0), minutes=MINUTES, runs=runs, rng=rng)
        false = int(np.isfinite(judges.bets(counts, margin=margin)).sum())
        worst, where = (false, name) if false > worst else (worst, where)
    low, high = clopper_pearson(worst, runs)
    return Figure(
        what=f"false rollbacks, worst of {len(laws)} settings ({where}), margin {margin:g}",
        asked=f"<= {100 * _ALPHA:g} %",
        measured=f"{100 * worst / runs:.1f} %",
        interval=f"{100 * low:.1f} to {100 * high:.1f} %",
        met=worst <= _ALPHA * runs,
    )


def _pods_in_vain(form: Form, runs: int) -> Figure:
    """Return the most false rollbacks where pods of one version differ, with a learnt margin."""
    worst, where = -1, ""
    for spread in (0.3, 0.6):
        for count in (1, 2, 5):
            rng = np.random.default_rng([form.seed, 950, round(10 * spread), count])
            law = Law(requests=10_000.0, pod_sd=spread, pods=(count, 18))
            margins = measured.learnt_margins(spread, count, runs, rng)
            counts = play(law, minutes=MINUTES, runs=runs, rng=rng)
            ln_e = share_evidence(counts, margins)
            false = int(np.isfinite(first(ln_e >= math.log(1.0 / _ALPHA))).sum())
            if false > worst:
                worst, where = false, f"sd {spread:g}, {count} of {count + 18}"
    low, high = clopper_pearson(worst, runs)
    most = _ALPHA + _POINTS_MORE
    return Figure(
        what=f"false rollbacks where pods differ, worst of 6 ({where}), margin learnt from pods",
        asked=f"<= {100 * most:g} %",
        measured=f"{100 * worst / runs:.1f} %",
        interval=f"{100 * low:.1f} to {100 * high:.1f} %",
        met=worst <= most * runs,
    )
