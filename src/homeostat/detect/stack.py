"""The stack: looks at each column and at how columns go together, as one answer a tick.

Not every detector of this room is in it: charts, S-H-ESD, SPOT, the autoencoder and drift are not;
those of them that judge columns are methods by themselves, beside it or instead (`detect.method`).

An entity is what is judged as one: a file, a deployment, a machine. Its columns are signals. Each
column is screened (`detect.screen_rows`: seasons, several looks, how rare beside its own past), and
several are judged together (`detect.stack_entity`); the stack turns that into one -log10 p, one
score and one alarm for each incident of the entity, and says which columns it is about. It is
causal: what it says of a prefix is what it says of the whole; it uses no names, times or labels.

`anomaly_score` lies in [0, 1] and 0.5 is the line: at or above it exactly at the tick at which an
incident starts (`alarm`), below it at every other, and at or above 0.4 where a lesser incident
starts, which the shipped detector does not tell of. So a threshold of 0.5 is the shipped detector,
and a higher or lower one tells of stronger or weaker incidents only, once each. Within each of the
three ranges the score is a fixed increasing function of strength: the mean of `neg_log10_p`, for
which what recurs becomes normal and all that is beyond the past is about as rare, and of evidence
that does not fade: of one column, how far it is beyond its reach
(`detect.screen_reach`), of several, how far the worst are from what the others say
(`detect.stack_entity`). So below 0.4 it ranks the ticks of an incident above quiet ones for as
long as it lasts, and within each range what is large above what is merely rare.

Not here: reading files, seasons people know of, causes.
"""

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.base.part import Part
from homeostat.detect import pca, screen_rates, screen_rows, stack_entity, stack_incident

# Strength at which the score is half of its range. What matters is that s / (s + 3) still tells
# 1e-300 from 1e-299 in double precision; 3 is near what starts an incident, so all of the range is
# used.
_HALF: Final = 3.0
# Where the ranges of the score end; see the module.
_HINT, _ALARM = 0.4, 0.5
_NONE: Final = np.empty((0, 0, 4))
_NOWHERE: Final = np.empty(0, dtype=bool)


@dataclass(frozen=True, slots=True, kw_only=True)
class StackConfig:
    """Settings of the stack; the default is the one that ships and that is measured.

    Attributes:
        rows: How each column is screened.
        together: How columns go together, where there are several.
        rates: How the rarity of what several columns say is counted.
        incident: When an incident of a single column starts and ends. The default was chosen on
            made-up recordings (`benchmarks/detection/synthetic.py`, `synthetic_bursty.py`) for the
            best F1 of events; it is one level a tick, however long ticks are, and no budget.
            `detect.stack_budget` makes one of a budget; see `Stack.step`.
        hint: The same for lesser incidents, which show in the score alone.
        several: The same as `incident` for several columns, whose evidence is merged by a bound
            that holds however they depend on each other and says less for it: at this level no
            more healthy ticks start an incident than of a single column at its own
            (docs/decisions/0060-several-columns-have-a-level-of-their-own.md). Of an entity that
            was seen for some hundreds of ticks it is higher, up to that of a single column.
        several_hint: The same as `hint` for several columns.
        seldom: Ticks from which on lesser incidents of a single column are told of ever more
            seldom, so that a past ten times as long has about as many of them, and what is strong
            comes before what is merely new: their level rises by -log10 of the share that so many
            ticks are of the column's age (docs/decisions/0063-lesser-incidents-grow-seldom.md).
        recurring: A single column's incidents teach it nothing of how rare its scores are, as those
            of several columns never do, so that it tells of what comes again, too; see
            `detect.method_recurring` and `detect.screen_rows`.
    """

    rows: screen_rows.Config = field(default_factory=screen_rows.Config)
    together: pca.Config = field(default_factory=pca.Config)
    rates: screen_rates.Config = field(default_factory=screen_rates.Config)
    incident: stack_incident.Config = field(
        default_factory=lambda: stack_incident.Config(start=2.6, stay=1.7, quiet=60)
    )
    hint: stack_incident.Config = field(
        default_factory=lambda: stack_incident.Config(start=2.0, stay=1.7, quiet=60)
    )
    several: stack_incident.Config = field(
        default_factory=lambda: stack_incident.Config(start=2.0, stay=1.2, quiet=30)
    )
    several_hint: stack_incident.Config = field(
        default_factory=lambda: stack_incident.Config(start=1.5, stay=1.2, quiet=30)
    )
    seldom: float = 5000.0
    recurring: bool = False

    def __post_init__(self) -> None:
        """Refuse lesser incidents that are seldom from the first tick on.

        Raises:
            ValueError: Names the setting, its value and the range.
        """
        if not self.seldom >= 1.0:
            raise ValueError(f"stack: seldom must be 1 or more, got {self.seldom}")

    def told(self, columns: int) -> tuple[stack_incident.Config, stack_incident.Config]:
        """Return `incident` and `hint` of an entity of so many columns."""
        if columns > 1:
            return self.several, self.several_hint
        return self.incident, self.hint

    def young(self, age: Any) -> Any:
        """Return how much higher the levels of several columns are after so many ticks, `[entity]`.

        A past that is short has no tail: two doubts as `screen_rows.doubt` has them, one for what
        columns say and one for how they go together.
        """
        most = max(self.incident.start - self.several.start, 0.0)
        return np.minimum(2.0 * screen_rows.doubt(np, age), most)

    def old(self, age: Any) -> Any:
        """Return how much higher the level of lesser incidents is after so many ticks, `[row]`."""
        return np.log10(np.maximum(age / self.seldom, 1.0))


class StackState(NamedTuple):
    """All that the stack remembers; arrays only, see `detect.stack_checkpoint`.

    Attributes:
        rows: Of the columns, `[entity * column]`.
        entity: Of columns together; empty where there is one column only.
        incident: One row an entity.
        hint: Likewise.
    """

    rows: screen_rows.State
    entity: stack_entity.EntityState | tuple[()]
    incident: stack_incident.State
    hint: stack_incident.State


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
        each: What parts of it say apart (`detect.method`): score, evidence, alarm, active of each,
            float `[entity, part, 4]`. The stack says nothing apart.
        spoke: An incident lasts by what is seen at this tick, and not because it has been quiet
            for too short to end. Bool `[entity]`.
    """

    neg_log10_p: Any
    anomaly_score: Any
    alarm: Any
    active: Any
    unknown: Any
    contributions: Any
    low: Any
    high: Any
    each: Any = _NONE
    spoke: Any = _NOWHERE


class Stack:
    """See the module. Causal and pure; entities are independent of each other.

    Args:
        config: Settings.
    """

    names: Final[tuple[str, ...]] = ()
    least_columns: Final = 1
    columns: Final = None

    def __init__(self, config: StackConfig | None = None) -> None:
        self.config = StackConfig() if config is None else config
        self._rows = screen_rows.Rows(self.config.rows)
        self._entities = stack_entity.Entities(self.config.together, self.config.rates)

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
        return StackState(
            rows=self._rows.init(np, entities * columns),
            entity=self._entities.init(columns, entities=entities) if columns > 1 else (),
            incident=stack_incident.init(np, entities),
            hint=stack_incident.init(np, entities),
        )

    def step(
        self, state: StackState, values: Any, learn: Any, start: Any = None
    ) -> tuple[StackState, Said]:
        """Judge one tick, then learn from it.

        Args:
            state: From `init` or the last step.
            values: Float `[entity, column]`; NaN and infinities are unknown.
            learn: Bool `[entity, column]`, `[entity, 1]` or one bool: where anything may be learnt.
            start: Evidence that starts an incident at this tick, one number or `[entity]`, for
                example by a budget (`detect.stack_budget`); None: as the settings say. Nothing
                that is learnt depends on it.

        Returns:
            The next state, and what is said.
        """
        table = np.asarray(values, dtype=float)
        allowed = np.broadcast_to(np.asarray(learn, dtype=bool), table.shape)
        guarded = self.config.recurring or table.shape[1] > 1
        after, seen = self._rows.step(
            np, state.rows, table.reshape(-1), allowed.reshape(-1), guarded=guarded
        )
        each = seen.evidence.reshape(table.shape)
        entity: stack_entity.EntityState | tuple[()]
        telling, hinting = self.config.told(table.shape[1])
        usual, lower = telling.start, hinting.start
        if isinstance(state.entity, stack_entity.EntityState):
            entity, whole = self._entities.step(state.entity, table, allowed, each)
            evidence, shares, beyond = whole
            more = self.config.young(state.entity.age)
            usual, lower = usual + more, lower + more
        else:
            entity, evidence, shares = (), each[:, 0], _alone(each)
            beyond = seen.beyond
            lower = lower + self.config.old(state.rows.screen.count[: len(table)])
        level = usual if start is None else start
        incident, alarm = stack_incident.step(np, telling, state.incident, evidence, level)
        hint, lesser = stack_incident.step(np, hinting, state.hint, evidence, lower)
        said = Said(
            neg_log10_p=evidence,
            anomaly_score=scale((evidence + np.nan_to_num(beyond)) / 2.0, alarm, lesser),
            alarm=alarm,
            active=incident.active,
            unknown=np.isnan(evidence),
            contributions=shares,
            low=seen.low.reshape(table.shape),
            high=seen.high.reshape(table.shape),
            each=np.empty((len(table), 0, 4)),
            spoke=stack_incident.spoke(incident, np.isfinite(evidence)),
        )
        return StackState(rows=after, entity=entity, incident=incident, hint=hint), said

    def without(self, state: StackState, columns: Any) -> StackState:
        """Return the state in which nothing is known of how some columns go with the others.

        What is known of each by itself (`state.rows`) is the caller's to take away.

        Args:
            state: Of entities of several columns.
            columns: Bool `[entity, column]`.
        """
        if not isinstance(state.entity, stack_entity.EntityState):
            return state
        return state._replace(entity=self._entities.without(state.entity, columns))

    def widened(self, state: StackState, columns: int) -> StackState:
        """Return the state with so many columns, as many or more, of which nothing is known yet.

        But for `rows`, which is of each column by itself and as it was.

        Args:
            state: Of entities of several columns.
            columns: How many there are to be.
        """
        if not isinstance(state.entity, stack_entity.EntityState):
            return state
        return state._replace(entity=self._entities.widened(state.entity, columns))


def scale(strength: Any, alarm: Any, lesser: Any) -> Any:
    """Return the score of a strength (-log10 p, any shape): see the module.

    >>> scale(np.array([3.0, 3.0, 3.0]), np.array([False, False, True]), np.array([0, 1, 1]))
    array([0.2 , 0.45, 0.75])
    """
    share = strength / (strength + _HALF)
    below = np.where(lesser, _HINT + (_ALARM - _HINT) * share, _HINT * share)
    return np.where(alarm, _ALARM + (1.0 - _ALARM) * share, below)


def _alone(evidence: Any) -> Any:
    """Return the share of an only column: all, where there is evidence."""
    return np.where(np.nan_to_num(evidence) > 0.0, 1.0, np.nan)


PART: Final = Part(
    kind="method",
    name="stack",
    summary="The shipped one: each column by several looks, and how columns go together.",
    config=StackConfig,
    build=lambda config, model=None: Stack(config),  # noqa: ARG005 - as every method's
)
