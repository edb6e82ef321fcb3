"""Detection in the loop: the 43 scenarios, and what feedback is worth, by the lab's own commands.

The same code as `homeostat lab run` and `homeostat lab feedback`, in this process, so that what is
printed is what they write. Their own pages have the rest of what they measure.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from detection.false_incidents import garwood
from detection.made import Asked
from detection.rows import Found, Outcome

_WEEK_S: Final = 7 * 86_400.0
_OURS, _PEERS = "homeostat", ("threshold",)
_SCENARIOS: Final = {"long": (), "short": (), "sample": ("S01", "S22")}
_SEEDS: Final = {"long": 100, "short": 1, "sample": 1}
_FEEDBACK: Final = {"long": (500, 200), "short": (20, 10), "sample": (3, 2)}
"""Hours with feedback, and unseen ones."""
_PER_HOUR: Final = 1.38
KEPT: Final = Path(__file__).resolve().parents[2] / "docs/reference/detection-figures/feedback.json"
"""What `homeostat lab docs` keeps of `lab feedback`."""


def scenarios(asked: Asked) -> Outcome:
    """Return the rows of the catalogue.

    Raises:
        ImportError: The packages that simulate are not installed.
        RuntimeError: A policy could not be played everywhere.
    """
    from homeostat.cli import lab_files  # noqa: PLC0415 - needs what simulates
    from homeostat.cli.lab_run import Plan, Run  # noqa: PLC0415 - as above

    size = asked.size("lab")
    catalogue = lab_files.catalogue(()).only(_SCENARIOS[size]).playable()
    with TemporaryDirectory() as folder:
        plan = Plan(
            catalogue=catalogue,
            policies=(_OURS, *_PEERS),
            seeds=lab_files.seeds(0, _SEEDS[size]),
            out=Path(folder),
            jobs=1,
            films=0,
        )
        outcome = Run(plan).go()
    if outcome.failed:
        raise RuntimeError(f"policies failed: {dict(outcome.failed)}")
    policies = outcome.results.policies
    many = f"{len(catalogue.scenarios)} scenarios, seeds 0 to {_SEEDS[size] - 1}"
    short = size != "long"
    found = {
        key: _figure(policies, metric, many, short=short)
        for key, metric in (("lab.f1", "detection_event_f1"), ("lab.family", "family_accuracy"))
    }
    found["lab.controls"] = _controls(outcome.scores, short=short)
    return Outcome(found, _table(policies[_OURS], catalogue))


def feedback(asked: Asked) -> Outcome:
    """Return the row of feedback.

    Raises:
        ImportError: The packages that simulate are not installed.
    """
    from homeostat.cli.lab_feedback import Plan, Run  # noqa: PLC0415 - needs what simulates
    from homeostat.report.lab_feedback import verdict  # noqa: PLC0415 - as above

    size = asked.size("feedback")
    cycles, unseen = _FEEDBACK[size]
    with TemporaryDirectory() as folder:
        plan = Plan(cycles=cycles, unseen=unseen, per_hour=_PER_HOUR, out=Path(folder), jobs=1)
        made = Run(plan).go()
    return Outcome({"feedback.removed": _removed(made, short=size != "long")}, verdict(made))


def kept_feedback(path: Path = KEPT) -> tuple[Found, str] | None:
    """Return what the page's own file of feedback says, and where that is from; None without it."""
    from homeostat.report.lab_feedback import from_json  # noqa: PLC0415 - only where it is shown

    if not path.is_file():
        return None
    made = from_json(path.read_text(encoding="utf-8"))
    machine = f"{made.machine.cpu}, {made.machine.cores} cores"
    said = f"commit {made.commit[:12]}, {made.made_at[:10]}, {machine}, `{made.command}`"
    return _removed(made, short=False), said


def _removed(made: Any, *, short: bool) -> Found:
    one = made.found.removed
    return Found(
        float("nan") if one.value is None else one.value,
        f"{made.cycles} hours with feedback, {made.unseen} unseen, {made.per_hour:g} incidents an "
        f"hour; frozen F1 {made.found.arms[0].f1.value:.3f}",
        one.low,
        one.high,
        peers=f"of what one best line for all leaves: {_share(made.found.removed_strict)}",
        short=short,
    )


def _share(figure: Any) -> str:
    if figure.value is None:
        return "unknown"
    if figure.low is None:
        return f"{figure.value:.0%}"
    return f"{figure.value:.0%} ({figure.low:.0%} to {figure.high:.0%})"


def _figure(policies: Any, metric: str, many: str, *, short: bool) -> Found:
    one = policies[_OURS].metrics[metric]
    others = [(name, policies[name].metrics[metric].value) for name in _PEERS]
    return Found(
        float("nan") if one.value is None else one.value,
        f"{many}, policy {_OURS}",
        one.low,
        one.high,
        peers=", ".join(
            f"{name} alerts {value:.3f}" for name, value in others if value is not None
        ),
        short=short,
    )


def _controls(scores: Any, *, short: bool) -> Found:
    """Return how many incidents the scenarios without a fault had in seven days."""
    rates = {}
    for name in (_OURS, *_PEERS):
        benign = np.array(scores[name].benign, dtype=bool)
        alarms = int(np.asarray(scores[name].people.false_alarms)[benign].sum())
        weeks = float(np.asarray(scores[name].service.watched_s)[benign].sum()) / _WEEK_S
        rates[name] = alarms, weeks
    alarms, weeks = rates[_OURS]
    low, high = (end / weeks for end in garwood(alarms))
    return Found(
        alarms / weeks,
        f"{alarms} in {7 * weeks:.2f} simulated days without a fault",
        low,
        high,
        peers=", ".join(f"{name} alerts {rates[name][0] / weeks:.1f}" for name in _PEERS),
        short=short,
    )


def _table(policy: Any, catalogue: Any) -> str:
    lines = ["| scenario | event F1 | family right |", "|---|---:|---:|"]
    for one in catalogue.scenarios:
        metrics = policy.scenarios[one.id].metrics
        cells = [
            "-" if metrics[name].value is None else f"{metrics[name].value:.2f}"
            for name in ("detection_event_f1", "family_accuracy")
        ]
        lines.append(f"| {one.id} {one.name} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)
