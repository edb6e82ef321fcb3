"""What was found in one input: how many rows were judged, and each incident from start to end."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, Final

import numpy as np

from homeostat.cli.detect_cells import Floats
from homeostat.detect.stack import Said

_TOP: Final = 3  # columns that an incident names


@dataclass(slots=True, kw_only=True)
class Incident:
    """One incident, open until it ends.

    Attributes:
        start: Its first row's time, as written.
        last: Its last row's so far.
        spoke: The time of the last row whose evidence kept it going; None = none that is shown.
        rows: How many rows it lasts.
        score: The highest score.
        evidence: The highest -log10 p.
        weight: Evidence by column. `[column]`.
    """

    start: str
    last: str
    spoke: str | None
    rows: int
    score: float
    evidence: float
    weight: np.ndarray


@dataclass(slots=True, kw_only=True)
class Tally:
    """What was found so far.

    Attributes:
        columns: Names of the columns of values.
        rows: Rows that have a row in the output.
        unknown: Of them, those that could not be judged.
        alarms: How many incidents started.
        done: Incidents that have ended, as they are written.
        going: The one that has not.
        largest: The row with most evidence so far, as it is written; None = none had any.
    """

    columns: Sequence[str]
    rows: int = 0
    unknown: int = 0
    alarms: int = 0
    done: list[dict[str, Any]] = field(default_factory=list)
    going: Incident | None = None
    largest: dict[str, Any] | None = None

    def add(self, texts: Sequence[str], said: Said, levels: Floats | None = None) -> None:
        """Add rows.

        Args:
            texts: Their times.
            said: Of one entity, time first: `[row]`, contributions `[row, column]`.
            levels: The evidence that a budget asks for at each, to start an incident, `[row]`;
                None = there is no budget.
        """
        if not len(texts):
            return
        self.rows += len(texts)
        self.unknown += int(said.unknown.sum())
        self.alarms += int(said.alarm.sum())
        self._see(texts, said.neg_log10_p, levels)
        active = said.active
        edge = np.flatnonzero(np.diff(active.astype(np.int8), prepend=0, append=0))
        if not active[0]:
            self._end()
        for start, stop in edge.reshape(-1, 2).tolist():
            cuts = [start, *(start + 1 + np.flatnonzero(said.alarm[start + 1 : stop])), stop]
            for begin, end in pairwise(cuts):
                if begin > 0 or said.alarm[begin]:
                    self._end()
                self._extend(texts, said, slice(int(begin), int(end)))
        if not active[-1]:
            self._end()

    def incidents(self) -> list[dict[str, Any]]:
        """Return all incidents as they are written; one that still lasts has no end."""
        going = [] if self.going is None else [self._plain(self.going) | {"end": None}]
        return [*self.done, *going]

    def too_little(self, budget: float | None, step_s: float | None) -> list[str]:
        """Return what is to be said where a budget's level let no incident start.

        Args:
            budget: As a person asked for it; None = there is none.
            step_s: Seconds between rows; None = not known.
        """
        one = self.largest
        if budget is None or one is None or one["starts_at"] is None or self.incidents():
            return []
        ticks = "" if step_s is None else f" at ticks of {step_s:g} s"
        said = (
            f"no incident, which is not to say that nothing is there: the largest evidence is "
            f"{one['neg_log10_p']:.1f} ({one['time']}), and a budget of {budget:g}{ticks} asks for "
            f"{one['starts_at']:.1f}"
        )
        return [said]

    def plain(self) -> dict[str, Any]:
        """Return the tally as JSON can write it."""
        going = None
        if self.going is not None:
            going = asdict(self.going) | {"weight": self.going.weight.tolist()}
        return {
            "rows": self.rows,
            "unknown": self.unknown,
            "alarms": self.alarms,
            "done": self.done,
            "going": going,
            "largest": self.largest,
        }

    @classmethod
    def of(cls, columns: Sequence[str], plain: dict[str, Any]) -> "Tally":
        """Return the tally that `plain` made these values of."""
        going = plain["going"]
        if going is not None:
            going = Incident(**(going | {"weight": np.array(going["weight"])}))
        return cls(columns=columns, **(plain | {"going": going}))

    def _see(self, texts: Sequence[str], evidence: Floats, levels: Floats | None) -> None:
        """Keep the row with most evidence."""
        known = np.nan_to_num(evidence, nan=0.0)
        row = int(known.argmax())
        before = 0.0 if self.largest is None else self.largest["neg_log10_p"]
        if known[row] > before:
            self.largest = {
                "time": texts[row],
                "neg_log10_p": float(known[row]),
                "starts_at": None if levels is None else float(levels[row]),
            }

    def _extend(self, texts: Sequence[str], said: Said, rows: slice) -> None:
        evidence = np.nan_to_num(said.neg_log10_p[rows], nan=0.0)
        shares = np.nan_to_num(said.contributions[rows], nan=0.0)
        score = float(np.nan_to_num(said.anomaly_score[rows], nan=0.0).max())
        if self.going is None:
            self.going = Incident(
                start=texts[rows.start], last="", spoke=None, rows=0, score=0.0, evidence=0.0,
                weight=np.zeros(len(self.columns)),
            )  # fmt: skip
        one = self.going
        one.last, one.rows = texts[rows.stop - 1], one.rows + rows.stop - rows.start
        if len(loud := np.flatnonzero(said.spoke[rows])):
            one.spoke = texts[rows.start + int(loud[-1])]
        one.score = max(one.score, score)
        one.evidence = max(one.evidence, float(evidence.max()))
        one.weight = one.weight + evidence @ shares

    def _end(self) -> None:
        if self.going is not None:
            self.done.append(self._plain(self.going))
            self.going = None

    def _plain(self, one: Incident) -> dict[str, Any]:
        total = float(one.weight.sum())
        top = [int(k) for k in np.argsort(-one.weight, kind="stable")[:_TOP] if one.weight[k] > 0.0]
        return {
            "start": one.start,
            "end": one.last,
            "last_evidence": one.spoke,
            "rows": one.rows,
            "anomaly_score": one.score,
            "neg_log10_p": one.evidence,
            "columns": [
                {"name": self.columns[k], "share": float(one.weight[k]) / total} for k in top
            ],
        }
