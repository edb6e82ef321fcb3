"""The figures about the guard kernel: proofs, speed, its readers, its branches, its mutants.

The short form of each is what a check before a merge can afford; it tells what it may and says of
the rest that so little cannot show it. What is asked stands below, whatever is run.
"""

import importlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from homeostat.stats.exact import clopper_pearson, upper_bound
from safety.figures import ROOT, Figure
from safety.running import Form, environment, must, pytest_run, told

POLICIES: Final = ROOT / "examples" / "policies"
_SLOWEST_PROOF_S, _LEAST_BAD = 10.0, 5
_SLOWEST_RULES_US, _POINTS = 5.0, 100_000
_LEAST_KILLED: Final = 0.95
_FEW: Final = 40  # mutants, in the short form


def proof(form: Form) -> list[Figure]:
    """Prove the shipped policies, and refute the bad ones."""
    from homeostat.server.prover import prove  # noqa: PLC0415 - the solver, for this part alone
    from homeostat.server.proving import subjects  # noqa: PLC0415 - as above

    good = [POLICIES / "demo.yaml", *sorted((POLICIES / "good").glob("*.yaml"))]
    bad = sorted((POLICIES / "bad").glob("*.yaml"))
    if not form.long:
        good, bad = [POLICIES / "good" / "defaults.yaml"], bad[:1]
    rows, proved = [], True
    for path in good:
        began = time.process_time()
        found = [result for one in subjects([path]) for result in prove(one)]
        took = time.process_time() - began
        whole = all(result.verdict == "proved" for result in found)
        proved = proved and whole
        rows.append(
            Figure(
                what=f"`{path.stem}`: {len(found)} promises, seconds of processor",
                asked=f"proved in <= {_SLOWEST_PROOF_S:g}",
                measured=f"{took:.1f}" if whole else "not proved",
                met=whole and took <= _SLOWEST_PROOF_S,
            )
        )
    refuted = 0
    for path in bad:
        found = [result for one in subjects([path]) for result in prove(one)]
        broken = [result for result in found if result.verdict == "refuted"]
        refuted += bool(broken) and all(result.replayed for result in broken)
    rows.append(
        Figure(
            what="bad policies refuted, every counterexample replayed by the real guards",
            asked=f"all, and >= {_LEAST_BAD}",
            measured=f"{refuted} of {len(bad)}",
            met=told(refuted == len(bad), enough=len(bad) >= _LEAST_BAD),
        )
    )
    return rows


def guards(form: Form) -> list[Figure]:
    """Time the closures, and compare the readers of the rules at many points."""
    # The comparison is a test; this asks it for its number.
    sys.path.insert(0, str(ROOT / "tests" / "proof"))
    test_backends = importlib.import_module("test_backends")
    count = _POINTS if form.long else 2_000
    wrong = len(test_backends.mismatches(count, form.seed))
    low, middle, high = _rules_us(400 if form.long else 40)
    return [
        Figure(
            what="15 rules as closures, microseconds",
            asked=f"<= {_SLOWEST_RULES_US:g}",
            measured=f"{middle:.1f}",
            interval=f"{low:.1f} to {high:.1f} (5 to 95 % of the batches)",
            met=middle <= _SLOWEST_RULES_US,
        ),
        Figure(
            what="points at which closures, z3 and a compiled CEL differ from the plain reading",
            asked=f"0 of {_POINTS:,}",
            measured=f"{wrong} of {count:,}",
            interval=f"<= {upper_bound(wrong, count):.1e} of such points",
            met=told(wrong == 0, enough=count >= _POINTS),
        ),
        _cel_python(form),
    ]


def _cel_python(form: Form) -> Figure:
    what, asked = "points at which cel-python differs where all is known", "0 of 2,000"
    if not form.long:
        return Figure(what=what, asked=asked, measured="not run")
    said = pytest_run("tests/proof/test_backends.py", "-m", "long", "-k", "cel_python")
    return Figure(what=what, asked=asked, measured="0 of 2,000" if said.ok else "some", met=said.ok)


def _rules_us(batches: int) -> tuple[float, float, float]:
    """Return the 5th, 50th and 95th percentile over batches of the microseconds of 15 rules."""
    from homeostat.base.actions import ActionKind  # noqa: PLC0415 - beside what needs it
    from homeostat.safety.facts import facts  # noqa: PLC0415 - as above
    from homeostat.safety.guard import compile_rules  # noqa: PLC0415 - as above
    from homeostat.safety.rules import RULES  # noqa: PLC0415 - as above
    from homeostat.safety.sight import look  # noqa: PLC0415 - as above
    from homeostat.testing import guard_scene as g  # noqa: PLC0415 - as above

    kernel = compile_rules([rule for rule in RULES if ActionKind.SCALE_UP in rule.kinds][:15])
    record = facts(g.scale(5), look(g.scene(), g.NOW))
    assert kernel.judge(record) == ((), ())
    took = []
    for _ in range(batches):
        began = time.process_time_ns()
        for _ in range(500):
            kernel.judge(record)
        took.append((time.process_time_ns() - began) / 500 / 1000)
    low, middle, high = np.percentile(took, [5, 50, 95])
    return float(low), float(middle), float(high)


def branches(form: Form) -> list[Figure]:
    """Run the kernel's own tests and see which branches of it they take."""
    profile = "full" if form.long else "check"
    with tempfile.TemporaryDirectory() as folder:
        kept, report = Path(folder) / "data", Path(folder) / "report.json"
        command = [sys.executable, "-m", "coverage"]
        words = ["-q", "tests/safety", "-p", "no:cacheprovider", "--hypothesis-profile", profile]
        run = [*command, "run", "--data-file", str(kept), "-m", "pytest", *words]
        must(run, "the kernel's own tests fail")
        must(
            [*command, "json", "--data-file", str(kept), "--fail-under", "0", "-o", str(report)],
            "coverage wrote no report",
        )
        totals = json.loads(report.read_text(encoding="utf-8"))["totals"]
    taken, every = totals["covered_branches"], totals["num_branches"]
    return [
        Figure(
            what=f"branches of the guard kernel, {totals['num_statements']:,} statements",
            asked="100 %",
            measured=f"{100 * taken / every:.1f} % ({taken} of {every})",
            # With fewer examples a branch may be missed that the whole tests take.
            met=told(taken == every, enough=True) if form.long or taken == every else None,
        )
    ]


def mutants(form: Form) -> list[Figure]:
    """Change the guard kernel a little, many times, and ask its tests.

    Raises:
        SystemExit: The run ended without a report.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "mutants.json"
        sample = form.sample or (None if form.long else _FEW)
        words = [] if sample is None else ["--sample", str(sample)]
        done = subprocess.run(
            [sys.executable, "-m", "safety.mutation", "--seed", str(form.seed), *words,
             "--jobs", str(form.jobs), "--json", str(report)],
            env=environment(), cwd=ROOT, check=False,
        )  # fmt: skip
        if not report.exists():
            raise SystemExit(f"the mutation run ended with {done.returncode} and no report")
        said = json.loads(report.read_text(encoding="utf-8"))
    return score(said)


def score(said: dict[str, Any]) -> list[Figure]:
    """Return the figures of a report of `safety.mutation`."""
    killed, tried, survivors = said["killed"], said["mutants"], said["survivors"]
    low, high = clopper_pearson(killed, tried)
    drawn = tried + said["equivalent"] < said["of"]
    share = killed / tried
    rows = [
        Figure(
            what=f"mutants of the guard kernel noticed by its own tests ({tried:,} tried of "
            f"{said['of']:,}, {said['equivalent']} more argued to change nothing)",
            asked=f">= {100 * _LEAST_KILLED:g} %",
            measured=f"{100 * share:.1f} % ({killed:,})",
            interval=f"{100 * low:.1f} to {100 * high:.1f} %" if drawn else "all were tried",
            met=share >= _LEAST_KILLED if not drawn else _by_interval(low, high),
        )
    ]
    return [*rows, *(Figure(what=f"survives: `{one}`", measured="") for one in survivors)]


def _by_interval(low: float, high: float) -> bool | None:
    if low >= _LEAST_KILLED:
        return True
    return False if high < _LEAST_KILLED else None
