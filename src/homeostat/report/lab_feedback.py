"""What `lab feedback` found, as it is kept and shown: arms, the learning curve, and the gate.

Values, their way to JSON and back, and their tables in Markdown; nothing is worked out here (see
`lab.feedback_measure`).
"""

import json
from dataclasses import dataclass
from typing import Any, Final

from homeostat.report.lab_figures import made, table
from homeostat.report.lab_made import Provenance
from homeostat.report.lab_results import Figure, read, to_plain

FORMAT: Final = "homeostat.dev/lab-feedback/v1"
GATE: Final = 0.15
AIM: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way of telling, on the unseen hours.

    Attributes:
        name: For people.
        f1: Of events.
        found: Events told of.
        missed: Events not told of.
        missed_hurt: Of them those that did damage.
        false: Alarms with nothing behind them.
        false_a_day: The same for a deployment and day.
        pr_auc: Area under precision and recall of its score over scrapes, nothing adjusted.
    """

    name: str
    f1: Figure
    found: int
    missed: int
    missed_hurt: int
    false: int
    false_a_day: float
    pr_auc: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The unseen hours judged after so many hours of feedback.

    Attributes:
        hours: Of feedback.
        f1: Of events.
        false_a_day: False alarms of a deployment and day.
    """

    hours: int
    f1: float
    false_a_day: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was measured.

    Attributes:
        arms: Shipped, one line, feedback, feedback with the best line.
        removed: Share of the shipped detector's error (1 - F1) that feedback removes.
        removed_strict: The same of one best line for all, feedback's line placed as well as that.
        curve: As feedback adds up.
        poisoned: Feedback from people who always say the same.
        spread: F1 of feedback with other people of the same kind.
    """

    arms: tuple[Arm, ...]
    removed: Figure
    removed_strict: Figure
    curve: tuple[Point, ...]
    poisoned: tuple[Arm, ...]
    spread: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback(Provenance):
    """What `lab feedback` found, with how it was made.

    Attributes:
        cycles: Hours with feedback.
        unseen: Hours measured.
        per_hour: Incidents an hour.
        budget: False alarms of a deployment and day that are allowed.
        same_code: The recording was made by the same version of the program.
        found: What was measured.
    """

    format: str = FORMAT
    cycles: int
    unseen: int
    per_hour: float
    budget: float
    same_code: bool
    found: Found

    @property
    def passes(self) -> bool | None:
        """Whether feedback removes as much as the gate asks, within the budget; None = unknown."""
        own = next((one for one in self.found.arms if one.name == "feedback"), None)
        if own is None or self.found.removed.value is None:
            return None
        return self.found.removed.value >= GATE and own.false_a_day <= self.budget


def to_json(found: Feedback) -> str:
    """Return the text of `feedback.json`."""
    return json.dumps(to_plain(found), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str) -> Feedback:
    """Return what a `feedback.json` holds.

    Raises:
        ResultsError: It is no JSON, of another format, or a field is missing or of another type.
    """
    return read(Feedback, text, FORMAT, "feedback", "feedback")


def markdown(found: Feedback) -> str:
    """Return the tables, with how they were made and what the gate says."""
    heads = ["", "event F1", "found", "missed", "with damage", "false", "false a day", "PR-AUC"]
    curve = [[f"{p.hours}", f"{p.f1:.3f}", f"{p.false_a_day:.2f}"] for p in found.found.curve]
    parts = [
        _facts(found),
        *made(found),
        table(heads, [_row(one) for one in found.found.arms]),
        verdict(found),
        "As feedback adds up, at the line that was in force (without one, the shipped alarm):",
        table(["hours of feedback", "event F1", "false a day"], curve),
        "Feedback from people who always say the same:",
        table(heads, [_row(one) for one in found.found.poisoned]),
        _spread(found),
    ]
    return "\n\n".join(part for part in parts if part)


def shown(found: Feedback, *, plain: bool) -> Any:
    """Return what a command prints: the whole as plain values, or one row for each arm."""
    if plain:
        return to_plain(found)
    names = ("arm", "event F1", "found", "missed", "with damage", "false", "a day", "PR-AUC")
    return [dict(zip(names, _row(one), strict=True)) for one in found.found.arms]


def verdict(found: Feedback) -> str:
    """Return what the gate says, in one sentence or two."""
    said = {True: "passed", False: "missed", None: "open"}[found.passes]
    low = found.found.removed.low
    if found.passes and (low is None or low < GATE):
        said += ", but the interval reaches below the gate: the unseen hours are too few to be sure"
    return (
        f"Feedback removes {_share(found.found.removed)} of the shipped detector's error (1 - F1); "
        f"gate {GATE:.0%}, aim {AIM:.0%}: {said}. Of the error that one best line for all leaves, "
        f"it removes {_share(found.found.removed_strict)} with its own line placed as well."
    )


def _row(one: Arm) -> list[str]:
    f1, low, high = one.f1.value, one.f1.low, one.f1.high
    ends = "" if low is None or high is None else f" ({low:.3f} to {high:.3f})"
    return [
        one.name,
        "-" if f1 is None else f"{f1:.3f}{ends}",
        str(one.found),
        str(one.missed),
        str(one.missed_hurt),
        str(one.false),
        f"{one.false_a_day:.2f}",
        f"{one.pr_auc:.3f}",
    ]


def _share(one: Figure) -> str:
    if one.value is None:
        return "an unknown share"
    ends = "" if one.low is None or one.high is None else f" ({one.low:.0%} to {one.high:.0%})"
    return f"{one.value:.0%}{ends}"


def _facts(found: Feedback) -> str:
    other = "" if found.same_code else " The recording was made by another version of the program."
    return (
        f"{found.cycles} hours with feedback, then {found.unseen} unseen ones, of random "
        f"compositions, {found.per_hour:g} incidents an hour, under the shipped controller; the "
        f"budget is {found.budget:g} false alarm a day. In parentheses 95 % intervals, resampled "
        f"by hour.{other}"
    )


def _spread(found: Feedback) -> str:
    if not (values := found.found.spread):
        return ""
    return (
        f"With other people of the same kind, F1 of feedback is {min(values):.3f} to "
        f"{max(values):.3f} ({len(values)} more draws)."
    )
