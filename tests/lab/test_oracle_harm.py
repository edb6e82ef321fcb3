"""What the oracle's search takes for harm is what the judge blames on a run of the same seconds."""

from typing import Any

import numpy as np
import pytest
from traces_by_hand import at, during, episode, trace, truth

from homeostat.lab.judge import CODES, judge
from homeostat.lab.oracle_harm import harm
from homeostat.lab.thresholds import FROZEN

BAD = (1260, 1400)
ILL = np.stack([during(*BAD, 0.2, 0.0)] + [np.zeros((1, 3600))] * 2, axis=-1)  # of A's answers
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], float]] = {
    "nothing": ({}, {}, 0.0),
    "outage": ({"good": during(*BAD, 10.0, 100.0)}, {}, FROZEN.risk_k1),
    "as bad as holding": (
        {"good": during(*BAD, 10.0, 100.0)}, {"good": during(*BAD, 10.0, 100.0)}, 0.0,
    ),
    "bad target": ({"variant_errors": ILL}, {}, FROZEN.risk_k4),
    "bad target under hold too": ({"variant_errors": ILL}, {"variant_errors": ILL}, 0.0),
    "work lost": ({"undrained": during(1300, 1301, 200.0, 0.0)}, {}, FROZEN.risk_k5),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_harm_is_what_the_judge_blames(case: str) -> None:
    ours, hold, expected = CASES[case]
    # Whoever looks ahead takes every plan for an action; here one took effect before.
    seen, other = truth(**({"acted": at(1200)} | ours)), truth(**hold)
    found = harm([episode()], seen, other)
    assert found == pytest.approx([expected])
    judged = judge(trace(seen), trace(other, policy="hold"))
    weights = np.array([getattr(FROZEN, f"risk_{code.lower()}") for code in CODES])
    assert judged.caused @ weights == pytest.approx(found)
