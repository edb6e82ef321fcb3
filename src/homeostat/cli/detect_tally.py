"""What was found in one input: how many rows were judged, and each incident from start to end."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, Final

import numpy as np

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
    """

    columns: Sequence[str]
    rows: int = 0
    unknown: int = 0
    alarms: int = 0
    done: list[dict[str, Any]] = field(default_factory=list)
    going: Incident | None = None

    def add(self, texts: Sequence[str], said: Said) -> None:
        """Add rows.

        Args:
            texts: Their times.
            said: Of one entity, time first: `[row]`, contributions `[row, column]`.
        """
        if not len(texts):
            return
        self.rows += len(texts)
        self.unknown += int(said.unknown.sum())
        self.alarms += int(said.alarm.sum())
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
        }

    @classmethod
    def of(cls, columns: Sequence[str], plain: dict[str, Any]) -> "Tally":
        """Return the tally that `plain` made these values of."""
        going = plain["going"]
        if going is not None:
            going = Incident(**(going | {"weight": np.array(going["weight"])}))
        return cls(columns=columns, **(plain | {"going": going}))

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
