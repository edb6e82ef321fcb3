"""An entity of several columns: what its columns say, and how they go together, as one evidence.

Columns have two looks: the worst one, and the mean of the few worst, since a fault is seldom in one
column alone. How rarely the entity's own past reached them (`detect.screen_rates`) is what they
have in common: neither the number of columns nor their correlation makes them more than they are,
and what recurs becomes normal. How columns go together (`detect.pca`) is guarded instead, and goes
on to be strange as long as it is; the stranger of two: beside a past that goes on learning, and
beside a copy that does not (`detect.stack_frozen`). Columns and that are merged by the geometric
mean of their p-values, times e (Vovk & Wang, Biometrika 107 (2020), theorem 2), columns with a
third of the weight: what comes again fades there, and on made-up entities whose faults come again
that was better than a half. An entity that has changed for good begins anew.

Ranks and tails say how rare something is and hardly how large: what is far beyond all that was
seen is little rarer than what is beyond it. So there is a second number, which alarms do not know
and which is not ranked: how far the worst few columns are from what all others say, by the copy and
at this tick alone.
"""

from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.detect import pca, screen_rates, screen_rows, stack_frozen
from homeostat.detect.across import worst

_LOOKS: Final = 2
# A fault that shows in one column shows in a few; as many as an operator would look at.
_FEW: Final = 5
# Weight of what columns say by themselves; see the module.
_COLUMNS: Final = 1.0 / 3.0
_LOG10_LOOKS: Final = 0.3010299956639812
_LOG10_E: Final = 0.4342944819032518
# -log10 p of each unit of a distance. Distances are standard deviations up to three and beyond that
# thrice their logarithm and three more, so that this is 1.3 at three deviations and gains three
# powers of ten with each of a distance beyond: what `detect.screen_reach` says of a single column.
_OF_DISTANCE: Final = _LOG10_E


class EntityState(NamedTuple):
    """What is remembered of each entity.

    Attributes:
        pca: How columns go together.
        rates: Of the two looks, `[look * entity]`.
        age: Ticks that were judged, `[entity]`.
        frozen: How columns went together when enough had been seen.
    """

    pca: pca.PcaState
    rates: screen_rates.State
    age: Any
    frozen: stack_frozen.State


class Said(NamedTuple):
    """What is said of entities on one tick.

    Attributes:
        evidence: -log10 p, 0 or more, NaN where unknown, `[entity]`.
        shares: Each column's share in it, `[entity, column]`.
        beyond: How large what is seen is, as -log10 p of a law with a heavy tail, 0 or more, NaN
            where unknown, `[entity]`; see the module.
    """

    evidence: Any
    shares: Any
    beyond: Any


class Entities:
    """See the module. Causal and pure; entities are independent of each other.

    Args:
        together: Settings of `detect.pca`.
        rates: How rarity is counted.
        frozen: When a copy of the past is made, and when it begins anew.
    """

    def __init__(
        self,
        together: pca.Config,
        rates: screen_rates.Config,
        frozen: stack_frozen.Config | None = None,
    ) -> None:
        self.pca = pca.Pca(together)
        self.rates = screen_rates.Rates(rates)
        self.frozen = stack_frozen.Frozen(frozen or stack_frozen.Config(), self.pca)

    def init(self, columns: int, *, entities: int) -> EntityState:
        """Return entities that have seen nothing."""
        return EntityState(
            pca=self.pca.init(columns, entities=entities),
            rates=self.rates.init(np, _LOOKS * entities),
            age=np.zeros(entities),
            frozen=self.frozen.init(columns, entities=entities),
        )

    def step(
        self, state: EntityState, values: Any, learn: Any, evidence: Any
    ) -> tuple[EntityState, Said]:
        """Judge one tick, then learn from it.

        Args:
            state: From `init` or the last step.
            values: Float `[entity, column]`; NaN is unknown.
            learn: Bool `[entity, column]`: where anything may be learnt.
            evidence: Of each column, float `[entity, column]`; NaN is unknown.

        Returns:
            The next state, and what is said.
        """
        entities = values.shape[0]
        together, said = self.pca.step(state.pca, values, learn)
        known = np.isfinite(evidence)
        some = known.any(axis=1)
        most = np.where(some, np.where(known, evidence, -1.0).max(axis=1), np.nan)
        few = worst(evidence, _FEW)
        looks = np.stack([most, few.sum(axis=1)])
        teaches = np.tile(learn.any(axis=1), _LOOKS)
        rated, rarity = self.rates.step(np, state.rates, looks.reshape(-1), teaches)
        parts = self.rates.per_tick(np, state.rates, rarity) - _LOG10_LOOKS
        columns = screen_rows.agreed(np, parts.reshape(_LOOKS, entities), state.age)
        frozen, still = self.frozen.step(state.frozen, state.pca, values)
        relation = _stranger(said.entity.neg_log10_p, still.evidence)
        out = _merged(columns, relation)
        share = _weighed(few, columns) + _weighed(
            said.entity.contributions, said.entity.neg_log10_p
        )
        share += _weighed(still.shares, still.evidence)
        total = share.sum(axis=1, keepdims=True)
        share = np.where(total > 0.0, share / np.where(total > 0.0, total, 1.0), np.nan)
        if still.restart.any():
            together = self.pca.restart(together, still.restart)
        apart = np.where(np.isnan(still.apart), said.apart, still.apart)
        after = EntityState(together, rated, state.age + some, frozen)
        return after, Said(out, share, _OF_DISTANCE * apart)

    def without(self, state: EntityState, columns: Any) -> EntityState:
        """Return the state in which nothing is known of some columns, bool `[entity, column]`."""
        return state._replace(
            pca=self.pca.without(state.pca, columns),
            frozen=self.frozen.without(state.frozen, columns),
        )

    def widened(self, state: EntityState, columns: int) -> EntityState:
        """Return the state with so many columns, as many or more, of which nothing is known yet.

        How columns go together begins anew where more of them are then the worst few: the table of
        scores would be of other scores. That is so below 20 columns only.
        """
        before = state.pca.across.blame.shape[1]
        if self.pca.worst_of(columns) != self.pca.worst_of(before):
            fresh = self.init(columns, entities=len(state.age))
            return fresh._replace(rates=state.rates, age=state.age)
        return state._replace(
            pca=self.pca.widened(state.pca, columns),
            frozen=self.frozen.widened(state.frozen, columns),
        )


def _stranger(one: Any, other: Any) -> Any:
    """Return the larger evidence, paid for by looking twice; the one that is known as it is."""
    most = np.maximum(np.maximum(one, other) - _LOG10_LOOKS, 0.0)
    return np.where(np.isnan(most), np.where(np.isnan(one), other, one), most)


def _merged(one: Any, other: Any) -> Any:
    """Return the evidence of columns and of how they go together, or of what is known."""
    both = np.maximum(_COLUMNS * one + (1.0 - _COLUMNS) * other - _LOG10_E, 0.0)
    return np.where(np.isnan(both), np.where(np.isnan(one), other, one), both)


def _weighed(shares: Any, evidence: Any) -> Any:
    """Return columns' shares times the evidence that they are shares of; 0 where unknown."""
    sure = np.where(np.isnan(shares), 0.0, shares)
    total = sure.sum(axis=1, keepdims=True)
    even = sure / np.where(total > 0.0, total, 1.0)
    return even * np.where(np.isnan(evidence), 0.0, evidence)[:, None]
