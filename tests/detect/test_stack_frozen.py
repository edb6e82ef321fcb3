"""The frozen look: what comes again stays strange, and a change for good is one incident."""

from typing import Any

import numpy as np
import pytest

from homeostat.detect import pca, screen_rates, stack_frozen, stack_incident
from homeostat.detect.pca_past import Config as PastConfig
from homeostat.detect.stack_entity import Entities
from homeostat.detect.stack_frozen import Config
from homeostat.stats.reservoir import Config as RowsConfig

COLUMNS = 4
SMALL = pca.Config(past=PastConfig(rows=RowsConfig(size=256, memory=512)))
QUICK = Config(first=128, patience=600)


def _noise(ticks: int, entities: int = 1, seed: int = 4) -> Any:
    return np.random.default_rng(seed).normal(size=(ticks, entities, COLUMNS))


def _played(values: Any, config: Config = QUICK) -> Any:
    """Return evidence, restarts and copied rows, `[tick, entity]` each."""
    together = pca.Pca(SMALL)
    frozen = stack_frozen.Frozen(config, together)
    past = together.init(COLUMNS, entities=values.shape[1])
    state = frozen.init(COLUMNS, entities=values.shape[1])
    out = []
    for row in values:
        state, said = frozen.step(state, past, row)
        past, _ = together.step(past, row, learn=True)
        if said.restart.any():
            past = together.restart(past, said.restart)
        out.append((said.evidence, said.restart, state.copied))
    return tuple(np.array(part) for part in zip(*out, strict=True))


@pytest.mark.slow
def test_copies_are_made_at_doublings_until_the_past_begins_to_fade() -> None:
    evidence, _, copied = _played(_noise(900))
    made = np.unique(copied[:, 0])
    assert made[0] == 0
    assert made[1:].tolist() == [128, 256, 512]
    assert np.isnan(evidence[copied[:, 0] == 0]).all()
    assert np.isfinite(evidence[1:][copied[:-1, 0] > 0]).all()


@pytest.mark.long
def test_a_change_for_good_begins_anew_once_and_is_normal_after() -> None:
    values = _noise(2200)
    values[600:, 0, :2] += 6.0
    evidence, restart, copied = _played(values)
    (at,) = np.flatnonzero(restart[:, 0])
    assert 600 + QUICK.patience - 1 <= at < 600 + QUICK.patience + 200
    assert np.quantile(evidence[610:at, 0], 0.05) > QUICK.doubt
    assert copied[-1, 0] >= QUICK.first
    assert np.nanquantile(evidence[-300:, 0], 0.95) < QUICK.doubt


@pytest.mark.slow
def test_incidents_that_end_and_come_again_never_become_normal() -> None:
    values = _noise(2200)
    for start in range(600, 2200, 250):
        values[start : start + 90, 0, :2] += 6.0
    evidence, restart, _ = _played(values)
    assert not restart.any()
    last = evidence[2100:2190, 0]
    assert np.median(last) > QUICK.doubt


@pytest.mark.slow
def test_entities_do_not_know_of_each_others_copies() -> None:
    values = _noise(700, entities=2)
    values[:60, 1] = np.nan  # comes later, so that its copies are made at other ticks
    values[500:, 1, 0] += 5.0
    together, alone = _played(values), _played(values[:, 1:])
    for both, one in zip(together, alone, strict=True):
        np.testing.assert_array_equal(both[:, 1:], one)


@pytest.mark.long
def test_the_entity_takes_a_lasting_change_for_one_incident() -> None:
    entities = Entities(SMALL, screen_rates.Config(), QUICK)
    state = entities.init(COLUMNS, entities=1)
    incident = stack_incident.init(np, 1)
    config = stack_incident.Config(start=2.0, stay=1.2, quiet=30)
    values, starts = _noise(1700), []
    values[600:, 0, :2] += 6.0
    learn = np.ones((1, COLUMNS), dtype=bool)
    for tick, row in enumerate(values):
        # Columns by themselves say nothing here: they learn what lasts.
        state, said = entities.step(state, row, learn, np.zeros((1, COLUMNS)))
        incident, alarm = stack_incident.step(np, config, incident, said.evidence)
        if alarm[0] and tick > 300:
            starts.append(tick)
    assert len(starts) == 1
    assert 600 <= starts[0] < 630
    assert not incident.active[0]


@pytest.mark.parametrize(
    ("bad", "name"), [({"first": 1}, "first"), ({"doubt": 0.0}, "doubt"), ({"patience": 0}, "pat")]
)
def test_settings_that_cannot_work_are_refused(bad: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Config(**bad)
