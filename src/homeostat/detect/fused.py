"""One score for a deployment: what the stack and the charts say of all its series together.

Each deployment is an entity of the stack (`detect.stack`), its charted series the columns. The
stack ranks what it sees in the deployment's own past and so needs some hundred ticks of one; until
then, and beside it, there are the charts' alarms that matter. Their p-values are those of a normal
law, and operators' signals are not normal: a chart's evidence is read as so many deviations and
counted by a t law with four degrees of freedom, divided among the series (Bonferroni), and must
hold for `HELD` ticks. The two are merged by Bonferroni as well: no claim on how they depend.

An onset begins where the merged evidence reaches `start` and lasts until it has been quiet: one
incident, however long. One that begins while a rule suspects something, or while or soon after an
action of ours, is that incident and no other. Levels that changed for good (`detect.changepoint`),
and what an action of ours may have changed, begin anew; where all was well meanwhile
(`detect.fused_settled`) the charts' do as well. A deployment of which too little is seen to call it
healthy (`detect.fused_blind`) is unknown.

Not here: causes. What no rule explains is Family.UNCLEAR with the contributions as its reason, and
nobody acts on it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from homeostat.base import names
from homeostat.base.evidence import (
    UNLIKE_ITSELF,
    Anomaly,
    Contribution,
    Evidence,
    Family,
    Score,
    SeriesKey,
    Suspicion,
    Verdict,
)
from homeostat.base.ports import SignalsLike
from homeostat.base.units import TimeNs
from homeostat.detect import stack, stack_budget, stack_incident
from homeostat.detect.fused_batch import Batch, Batches
from homeostat.detect.fused_blind import blind
from homeostat.detect.fused_charts import HELD, chart_evidence, heavy_tailed, held, merged
from homeostat.detect.fused_rooms import Group
from homeostat.detect.fused_settled import is_sure, throughout
from homeostat.detect.fused_wires import Key
from homeostat.detect.layout import Layout

# Ticks after a suspicion or an action of ours in which what begins belongs to it: the longest
# window that a signal looks back over, and a half.
BELONGS: Final = 30
# Shares below this are not worth telling, and more than so many nobody reads.
_LEAST_SHARE: Final = 0.05
_MOST_TOLD: Final = 5
_UNSEEN: Final = Score(verdict=Verdict.UNKNOWN, neg_log10_p=None, score=None, since=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings.

    Attributes:
        together: Of the stack.
        incident: When an onset begins and ends; as the stack's own was when the score was measured
            on the scenarios, chosen on made-up recordings. That a suspicion of what is unclear must
            last twelve ticks comes on top of it.
        false_incidents: Per 1,000 signals and day: where an onset begins is worked out from it, by
            `detect.stack_budget`, for each deployment by how many series it has. None: at
            `incident.start`, however long a tick is.
        tick_s: How long it is, seconds.
    """

    together: stack.StackConfig = field(default_factory=stack.StackConfig)
    incident: stack_incident.Config = field(
        default_factory=lambda: stack_incident.Config(start=2.6, stay=1.7, quiet=30)
    )
    false_incidents: float | None = None
    tick_s: float = stack_budget.USUAL_TICK_S

    def __post_init__(self) -> None:
        """Refuse a budget and a tick that no level can be worked out from.

        Raises:
            ValueError: Names the setting and its value.
        """
        if not 0.0 < self.tick_s < float("inf"):
            raise ValueError(f"score: tick_s must be above 0 and finite, got {self.tick_s}")
        if self.false_incidents is not None:
            stack_budget.levels_of(self.false_incidents, self.tick_s)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FusedState:
    """What is remembered.

    Attributes:
        batches: The deployments by width.
        charts: The charts' evidence on the last ticks, newest last, by deployment.
        calm: Ticks since a rule suspected something or we acted, by deployment.
        since: When the onset began that lasts, by deployment; those without one are not in it.
        explained: Deployments whose onset belongs to what a rule suspects or to an action of ours.
        busy: Deployments with an action of ours in flight on the last tick.
        sure: Ticks in a row on which each deployment was known to be well, the score apart.
        settled: Series whose level has changed for good on this tick, all being well throughout.
    """

    batches: Batches
    charts: dict[str, tuple[float, ...]]
    calm: dict[str, int]
    since: dict[str, TimeNs]
    explained: frozenset[str] = frozenset()
    busy: frozenset[str] = frozenset()
    sure: dict[str, int] = field(default_factory=dict)
    settled: tuple[SeriesKey, ...] = ()


class Fused:
    """The fused score as one part; see `loop.sense_parts.FusedPart`.

    Args:
        config: Settings.
    """

    def __init__(self, config: Config | None = None) -> None:
        self.config = Config() if config is None else config
        self._batch = Batch(self.config.together)

    def init(self) -> FusedState:
        """Return the state before any deployment."""
        return FusedState(batches=self._batch.init(), charts={}, calm={}, since={})

    def settled(
        self, state: FusedState
    ) -> tuple[tuple[SeriesKey, ...], frozenset[str], frozenset[str]]:
        """Return what the last step found: `settled`, who was not surely well, whose onset lasts.

        Args:
            state: From `step`.
        """
        unsure = frozenset(name for name, ticks in state.sure.items() if not ticks)
        return state.settled, unsure, frozenset(state.since)

    def renewed(self, state: FusedState, deployments: frozenset[str]) -> FusedState:
        """Return a state in which levels begin anew on the next tick, as after an action of ours.

        Args:
            state: From `init` or the last step.
            deployments: Whose.
        """
        return replace(state, busy=state.busy | deployments)

    def step(
        self,
        state: FusedState,
        signals: SignalsLike,
        layout: Layout,
        evidence: Sequence[Evidence],
        learn: frozenset[str],
        busy: frozenset[str],
    ) -> tuple[FusedState, tuple[Evidence, ...]]:
        """Score one tick of the fleet, then learn from it where that is allowed.

        Args:
            state: From `init` or the last step.
            signals: The tick's aligned series.
            layout: Their rows.
            evidence: What rules and charts say of each deployment.
            learn: Deployments in which nothing is suspected and nothing of ours is in flight.
            busy: Deployments with an action of ours in flight.

        Returns:
            The next state, and the evidence with the scores, the stack's claims, and what is
            suspected because of the score alone.
        """
        said_of = {one.deployment: one for one in evidence}
        anew = state.busy - busy
        batches, said, news = self._batch.step(state.batches, signals, layout, learn, anew)
        charts = {
            name: (*state.charts.get(name, ())[1 - HELD :], chart_evidence(layout, one))
            for name, one in said_of.items()
        }
        dark = frozenset(n for n, one in said_of.items() if blind(signals, layout, one))
        sure = {
            name: state.sure.get(name, 0) + 1 if is_sure(one, busy, dark) else 0
            for name, one in said_of.items()
        }
        batches, scores = self._scores(state, batches, said, charts, said_of, dark)
        since = {name: one.since for name, one in scores.items() if one.since is not None}
        touched = busy | {
            name for name, one in said_of.items() if one.suspicions or one.slo_met is False
        }
        calm = {name: 0 if name in touched else state.calm.get(name, 0) + 1 for name in said_of}
        explained = frozenset(
            name
            for name, began in since.items()
            if name in touched
            or name in state.explained
            or (began == signals.at and _soon(calm[name], state, name))
        )
        after = FusedState(
            batches=batches,
            charts=charts,
            calm=calm,
            since=since,
            explained=explained,
            busy=busy,
            sure=sure,
            settled=throughout(news, sure, BELONGS),
        )
        return after, tuple(
            self._with(one, scores.get(one.deployment, _UNSEEN), explained) for one in evidence
        )

    def _scores(
        self,
        state: FusedState,
        batches: Batches,
        said: Mapping[Key, stack.Said],
        charts: Mapping[str, tuple[float, ...]],
        said_of: Mapping[str, Evidence],
        dark: frozenset[str],
    ) -> tuple[Batches, dict[str, Score]]:
        """Return the batches with their onsets, and the scores by deployment."""
        scores: dict[str, Score] = {}
        groups = dict(batches.groups)
        for key, group in batches.groups.items():
            here = {name: place for place, name in enumerate(group.owners) if name in said_of}
            evidence = np.full(len(group.owners), np.nan)
            for name, place in here.items():
                both = merged(float(said[key].neg_log10_p[place]), held(charts[name]))
                # What little is seen may show that something is wrong, never that nothing is.
                faint = name in dark and not both >= self.config.incident.stay
                evidence[place] = math.nan if faint else both
            incident, alarm = stack_incident.step(
                np, self.config.incident, group.incident, evidence, self._starts(group)
            )
            groups[key] = replace(group, incident=incident)
            shown = stack.scale(evidence, alarm, np.zeros_like(alarm))
            for name, place in here.items():
                lasts = bool(incident.active[place])
                scores[name] = _score(
                    float(evidence[place]),
                    float(shown[place]),
                    state.since.get(name, said_of[name].at) if lasts else None,
                    _told(group, place, said[key], said_of[name]) if lasts else (),
                )
        return replace(batches, groups=groups), scores

    def _starts(self, group: Group) -> Any:
        """Return where an onset of each deployment begins, `[place]`; None: as the settings say."""
        budget = self.config.false_incidents
        if budget is None:
            return None
        sizes = [max(len(columns), 1) for columns in group.names]
        of = {
            size: float(stack_budget.levels_of(budget, self.config.tick_s, signals=size))
            for size in sorted(set(sizes))
        }
        return np.array([of[size] for size in sizes])

    def _with(self, one: Evidence, score: Score, explained: frozenset[str]) -> Evidence:
        """Return the evidence with the score and what follows from it."""
        if score.since is None or one.suspicions or one.deployment in explained:
            return replace(one, score=score, anomalies=(*one.anomalies, *claims(score)))
        return replace(
            one,
            score=score,
            anomalies=(*one.anomalies, *claims(score)),
            suspicions=unexplained(score, self.config.incident.stay) if _matters(one) else (),
        )


def _matters(evidence: Evidence) -> bool:
    """Return whether a chart or a histogram is off by an amount that anybody could feel.

    The stack says how unlikely values are; a slow season of the load is unlikely and harmless.
    """
    return any(claim.verdict is Verdict.ANOMALOUS for claim in evidence.anomalies)


def _soon(calm: int, state: FusedState, name: str) -> bool:
    """Return whether what begins now may belong to what was suspected or done before."""
    return name in state.calm and calm < BELONGS


def _score(
    evidence: float, shown: float, since: TimeNs | None, told: tuple[Contribution, ...]
) -> Score:
    if math.isnan(evidence):
        verdict = Verdict.UNKNOWN if since is None else Verdict.ANOMALOUS
        return Score(verdict=verdict, neg_log10_p=None, score=None, since=since)
    return Score(
        verdict=Verdict.HEALTHY if since is None else Verdict.ANOMALOUS,
        neg_log10_p=evidence,
        score=shown,
        since=since,
        contributions=told,
    )


def _told(
    group: Group, place: int, said: stack.Said, evidence: Evidence
) -> tuple[Contribution, ...]:
    """Return the series that the evidence is about: the stack's shares, else the charts'."""
    columns = group.names[place]
    shares = said.contributions[place][: len(columns)]
    # Of a hundred columns a few are worth telling; NaN is not.
    parts = {columns[at]: float(shares[at]) for at in np.flatnonzero(shares >= _LEAST_SHARE)}
    if not parts and not (shares > 0.0).any():
        weights = {
            (one.subject, one.signal): heavy_tailed(one.neg_log10_p)
            for one in evidence.anomalies
            if one.verdict is Verdict.ANOMALOUS and one.neg_log10_p is not None
        }
        total = sum(weights.values())
        parts = {name: weight / total for name, weight in weights.items()} if total else {}
    ranked = sorted(parts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(
        Contribution(subject=subject, signal=signal, share=share)
        for (subject, signal), share in ranked[:_MOST_TOLD]
        if share >= _LEAST_SHARE
    )


def claims(score: Score) -> tuple[Anomaly, ...]:
    """Return the stack's own claims: of each suspect series its share of the evidence."""
    if score.since is None or score.neg_log10_p is None:
        return ()
    return tuple(
        Anomaly(
            detector="stack",
            subject=one.subject,
            signal=one.signal,
            verdict=Verdict.ANOMALOUS,
            neg_log10_p=score.neg_log10_p * one.share,
        )
        for one in score.contributions
    )


def unexplained(score: Score, stay: float) -> tuple[Suspicion, ...]:
    """Return the suspicion that a deployment is unlike itself and no rule says why.

    Args:
        score: Of a deployment of which no rule suspects anything.
        stay: Evidence below which an onset that lasts does not show at the moment.
    """
    evidence = score.neg_log10_p
    if score.since is None or evidence is None or evidence < stay:
        return ()
    shares = [f"{one.signal} of {one.subject} {one.share:.0%}" for one in score.contributions]
    return (
        Suspicion(
            family=Family.UNCLEAR,
            subject=names.MODEL,
            confidence=UNLIKE_ITSELF,
            because=(
                f"all series together are as unlikely as 1e-{evidence:.0f}",
                *shares[:3],
                "no rule says why",
            ),
        ),
    )


STATE_CLASSES: Final = (FusedState, SeriesKey)
"""What `stats.arrays.from_bytes` must know to read this part's state, beside the batches'."""
