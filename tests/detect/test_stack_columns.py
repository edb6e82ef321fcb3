"""Columns that begin anew in what is known of how they go together, past and frozen copy alike."""

from typing import Any

import numpy as np
import pytest

from homeostat.detect import pca, stack_frozen

COLUMNS, RENEWED = 6, 2


class Judged:
    """Two entities with a common factor; of the first a column is another series' at some time."""

    def __init__(self) -> None:
        self.chance = np.random.default_rng(5)
        self.pca = pca.Pca()
        self.frozen = stack_frozen.Frozen(stack_frozen.Config(first=64), self.pca)
        self.past = self.pca.init(COLUMNS, entities=2)
        self.copy = self.frozen.init(COLUMNS, entities=2)
        self.level = np.zeros((2, COLUMNS))

    def play(self, ticks: int) -> tuple[Any, Any]:
        """Return the evidence of the past that learns and of the copy, `[tick, entity]`."""
        out = []
        for _ in range(ticks):
            common = self.chance.normal(0.0, 1.0, (2, 1))
            row = self.level + common + 0.3 * self.chance.normal(0.0, 1.0, (2, COLUMNS))
            copy, still = self.frozen.step(self.copy, self.past, row)
            past, said = self.pca.step(self.past, row, True)
            self.past, self.copy = past, copy
            out.append((said.entity.neg_log10_p, still.evidence))
        one, other = zip(*out, strict=True)
        return np.array(one), np.array(other)

    def renew(self) -> None:
        which = np.zeros((2, COLUMNS), dtype=bool)
        which[0, RENEWED] = True
        self.past = self.pca.without(self.past, which)
        self.copy = self.frozen.without(self.copy, which)


@pytest.mark.long
def test_another_series_in_a_column_is_no_fault_and_is_known_again_after_refits() -> None:
    renewed, kept = Judged(), Judged()
    for one in (renewed, kept):
        one.play(500)
        one.level[0, RENEWED] = 50.0
    renewed.renew()
    assert renewed.copy.anew.sum() == 1
    calm, strange = renewed.play(40), kept.play(40)
    for look in (0, 1):
        assert np.isfinite(calm[look]).all()  # the other columns are judged as before
        assert np.median(strange[look][8:, 0]) > 2.0
        assert np.median(calm[look][8:, 0]) < 1.0
        assert np.array_equal(calm[look][:, 1], strange[look][:, 1])  # the neighbour is untouched
    renewed.play(700)
    assert not renewed.copy.anew.any()
    for model in (renewed.past.past.model, renewed.copy.model):
        assert model.level[0, RENEWED] == pytest.approx(50.0, abs=1.0)
    renewed.level[0, RENEWED] = 100.0
    again = renewed.play(20)
    for look in (0, 1):
        assert np.median(again[look][8:, 0]) > 2.0
