"""The sensitivity table: every row is what the judge says under those thresholds."""

import numpy as np
from traces_by_hand import HOUR, at, during, trace, truth

from homeostat.lab.judge import CODES, judge, sensitivity
from homeostat.lab.metrics_score import score
from homeostat.lab.thresholds import FROZEN, scalable, variants

OURS = trace(
    truth(
        acted=at(1200),
        capacity=during(2000, 2040, 99.0, 150.0),  # 40 s: K2, but not at twice 30 s
        good=during(1300, 1320, 0.0, 100.0),  # 20 s of a minute: K1 only of half a minute
        usd_per_hour=during(1800, HOUR, 20.0, 4.0),
    )
)
HOLD = trace(truth(), policy="hold")


def test_every_row_is_what_the_judge_says() -> None:
    rows = variants()
    assert len(rows) == 2 + 2 * len(scalable())
    table = sensitivity(OURS, HOLD, rows)
    assert list(table) == list(rows)
    for name, numbers in rows.items():
        assert np.array_equal(table[name], judge(OURS, HOLD, thresholds=numbers).caused), name


def test_a_threshold_moves_its_own_code_and_no_other() -> None:
    base = judge(OURS, HOLD).caused[0]
    assert [code for code, hit in zip(CODES, base, strict=True) if hit] == ["K2"]
    table = sensitivity(OURS, HOLD, variants())
    assert not table["k2_for_s x 2"].any()
    assert table["k1_short_s x 0.5"][0].tolist() == [True, True, *[False] * 5]
    assert table["k3_budgets x 0.5"][0].tolist() == [False, True, True, *[False] * 4]
    for name, hits in table.items():
        code = name[:2].upper()
        others = [k for k, one in enumerate(CODES) if one != code]
        if not name.startswith("all"):
            assert (hits[0, others] == base[others]).all(), name


def test_the_frozen_thresholds_are_a_row_like_any_other() -> None:
    table = sensitivity(OURS, HOLD, {"frozen": FROZEN})
    assert np.array_equal(table["frozen"], judge(OURS, HOLD).caused)


def test_scores_hold_whether_anything_was_caused_in_each_row() -> None:
    rows = variants()
    table = sensitivity(OURS, HOLD, rows)
    found = score(OURS, HOLD, rows=rows).sensitivity
    assert found.shape == (1, len(rows))
    assert found[0].tolist() == [bool(codes.any()) for codes in table.values()]
    assert 0 < found.sum() < len(rows)  # K2 alone is caused; at twice its 30 s nothing is
    assert score(OURS, HOLD).sensitivity.shape == (1, 0)
