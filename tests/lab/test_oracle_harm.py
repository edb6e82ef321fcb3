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
HELD = np.stack([during(*BAD, 8.0, 4.0), np.ones((1, 3600)), np.zeros((1, 3600))], axis=-1)
TURNS = np.array(HELD)
TURNS[..., 0] = 4 + np.arange(3600) // 60 % 2 * during(1200, 2100, 1.0, 0.0)
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], float]] = {
    "nothing": ({}, {}, 0.0),
    "outage": ({"good": during(*BAD, 10.0, 100.0)}, {}, FROZEN.risk_k1),
    "as bad as holding": (
        {"good": during(*BAD, 10.0, 100.0)}, {"good": during(*BAD, 10.0, 100.0)}, 0.0,
    ),
    "bad target": ({"variant_errors": ILL}, {}, FROZEN.risk_k4),
    "bad target under hold too": ({"variant_errors": ILL}, {"variant_errors": ILL}, 0.0),
    "more replicas than allowed": ({"held": HELD}, {}, FROZEN.risk_k3),
    "twice the budget": ({"usd_per_hour": during(60, 3600, 17.0, 4.0)}, {}, FROZEN.risk_k3),
    "too short for an hour's budget": ({"usd_per_hour": during(60, 3000, 17.0, 4.0)}, {}, 0.0),
    "to and fro while it is slow": (
        {"held": TURNS, "p99_s": during(1200, 2100, 0.6, 0.2), "acted": at(*range(1200, 2100, 60))},
        {}, FROZEN.risk_k6,
    ),
    "to and fro while all is well": ({"held": TURNS}, {}, 0.0),
    "poor for half an hour": ({"quality": during(1300, 3200, 0.75, 0.9)}, {}, FROZEN.risk_k7),
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
