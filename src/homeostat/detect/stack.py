"""The stack: every detector of this room together, as one answer for each entity and tick.

An entity is what is judged as one: a file, a deployment, a machine. Its columns are signals. Each
column is judged by per-row detectors; the stack turns what they say into one -log10 p, one score
and one alarm for each incident of the entity, and says which columns it is about. It is causal:
what it says of a prefix is what it says of the whole, and it uses no names, times or labels.

`anomaly_score` lies in [0, 1] and 0.5 is the line: at or above it exactly at the tick at which an
incident starts (`alarm`), below it at every other. On each side it is a fixed increasing function
of `neg_log10_p`, so a threshold of 0.5 is the shipped detector, a higher one keeps only stronger
alarms, and below the line the score still ranks the ticks of an incident above quiet ones.

Not here: reading files, seasons people know of, causes.
"""

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.detect import conformal as ranks
from homeostat.detect import ewma as chart
from homeostat.detect import stack_incident

# Evidence at which the score is half of its range. Half of what starts an incident would do; what
# matters is that s / (s + 8) still tells 1e-300 from 1e-299 in double precision.
_HALF: Final = 8.0
# Two detectors share one p-value: Bonferroni, log10 of 2.
_LOG10_DETECTORS: Final = 0.3010299956639812


@dataclass(frozen=True, slots=True, kw_only=True)
class StackConfig:
    """Settings of the stack; the default is the one that ships and that is measured.

    Attributes:
        ewma: Settings of the chart.
        conformal: Settings of the conformal detector.
        incident: When an incident starts and ends.
    """

    ewma: chart.Config = field(default_factory=chart.Config)
    conformal: ranks.Config = field(default_factory=ranks.Config)
    incident: stack_incident.Config = field(
        default_factory=lambda: stack_incident.Config(start=5.0, stay=2.0, quiet=60)
    )


class StackState(NamedTuple):
    """All that the stack remembers; arrays only, see `detect.stack_checkpoint`.

    Attributes:
        ewma: The chart's, rows are entities times columns.
        conformal: The conformal detector's, likewise.
        incident: One row an entity.
    """

    ewma: chart.State
    conformal: ranks.State
    incident: stack_incident.State


class Said(NamedTuple):
    """What the stack says of one tick.

    Attributes:
        neg_log10_p: Evidence against healthy, 0 or more, NaN where unknown. Float `[entity]`.
        anomaly_score: In [0, 1], NaN where unknown; see the module. Float `[entity]`.
        alarm: An incident starts at this tick. Bool `[entity]`.
        active: An incident lasts. Bool `[entity]`.
        unknown: Nothing could be judged. Bool `[entity]`.
        contributions: Share of each column in the evidence, 0 or more, summing to 1; NaN where
            nothing is known or there is no evidence. Float `[entity, column]`.
        low: Lower edge of where a healthy value lies, NaN if not known. Float `[entity, column]`.
        high: The upper edge, likewise.
    """

    neg_log10_p: Any
    anomaly_score: Any
    alarm: Any
    active: Any
    unknown: Any
    contributions: Any
    low: Any
    high: Any


class Stack:
    """See the module. Causal and pure; entities are independent of each other.

    Args:
        config: Settings.
    """

    def __init__(self, config: StackConfig | None = None) -> None:
        self.config = StackConfig() if config is None else config
        self._ewma = chart.Ewma(self.config.ewma)
        self._conformal = ranks.ConformalDetector(self.config.conformal)

    def init(self, columns: int, *, entities: int = 1) -> StackState:
        """Return the state of entities that have seen nothing.

        Args:
            columns: Columns of each entity, at least 1.
            entities: How many, at least 1.

        Raises:
            ValueError: There is no column or no entity.
        """
        if columns < 1 or entities < 1:
            raise ValueError(f"stack: need columns and entities, got {columns} and {entities}")
        rows = entities * columns
        return StackState(
            ewma=self._ewma.init(np, rows),
            conformal=self._conformal.init(np, rows),
            incident=stack_incident.init(np, entities),
        )

    def step(self, state: StackState, values: Any, learn: Any) -> tuple[StackState, Said]:
        """Judge one tick, then learn from it.

        Args:
            state: From `init` or the last step.
            values: Float `[entity, column]`; NaN and infinities are unknown.
            learn: Bool `[entity, column]`, `[entity, 1]` or one bool: where anything may be learnt.

        Returns:
            The next state, and what is said.
        """
        table = np.asarray(values, dtype=float)
        rows = table.reshape(-1)
        allowed = np.broadcast_to(np.asarray(learn, dtype=bool), table.shape).reshape(-1)
        charted, first = self._ewma.step(np, state.ewma, rows, allowed)
        ranked, second = self._conformal.step(np, state.conformal, rows, allowed)
        each = np.fmax(first.neg_log10_p, second.neg_log10_p) - _LOG10_DETECTORS
        score = np.maximum(each, 0.0).reshape(table.shape)
        evidence = _across(score)
        incident, alarm = stack_incident.step(np, self.config.incident, state.incident, evidence)
        said = Said(
            neg_log10_p=evidence,
            anomaly_score=scale(evidence, alarm),
            alarm=alarm,
            active=incident.active,
            unknown=np.isnan(evidence),
            contributions=_shares(score),
            low=first.low.reshape(table.shape),
            high=first.high.reshape(table.shape),
        )
        return StackState(ewma=charted, conformal=ranked, incident=incident), said


def scale(evidence: Any, alarm: Any) -> Any:
    """Return the score of evidence (-log10 p, any shape): see the module.

    >>> scale(np.array([0.0, 8.0, 8.0]), np.array([False, False, True])).tolist()
    [0.0, 0.25, 0.75]
    """
    return 0.5 * evidence / (evidence + _HALF) + np.where(alarm, 0.5, 0.0)


def _across(score: Any) -> Any:
    """Return -log10 p of each entity: the largest of its columns, paid for by their number."""
    known = np.isfinite(score)
    most = np.where(known, score, -np.inf).max(axis=1)
    count = np.maximum(known.sum(axis=1), 1)
    return np.where(known.any(axis=1), np.maximum(most - np.log10(count), 0.0), np.nan)


def _shares(score: Any) -> Any:
    """Return the share of each column in the evidence of its entity."""
    total = np.where(np.isfinite(score), score, 0.0).sum(axis=1, keepdims=True)
    return np.where(total > 0.0, score / np.where(total > 0.0, total, 1.0), np.nan)
