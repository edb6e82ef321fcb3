"""Five policies over a small catalogue, their traces written by hand.

Three scenarios of two hours: S05 (a controller can repair it), S23 (it cannot: the data team has
to), S43 (nothing is wrong, although it looks so for a while). A policy is when it repairs, whom it
tells when, and what it does to a deployment that is well.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from traces_by_hand import ONSET, during, episode, trace, truth

from homeostat.lab.human import respond
from homeostat.lab.metrics_score import Scores, joined, score
from homeostat.lab.types import FAMILIES, Episode, Trace

LENGTH: Final = 7200
SEEDS: Final = 4
SCENARIOS: Final = ("S05", "S23", "S43")


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a policy behaves.

    Attributes:
        repair_s: After the onset, where it can; inf = never.
        page_s: After the onset, in every kind of episode that it pages in; inf = never.
        pages: Scenarios in which it pages.
        names: Whether it names the right family.
        usd_per_hour: What it spends.
    """

    repair_s: float = np.inf
    page_s: float = np.inf
    pages: tuple[str, ...] = ()
    names: bool = False
    usd_per_hour: float = 4.0


STYLES: Final = {
    "hold": Style(),
    "escalate": Style(page_s=15.0, pages=SCENARIOS),
    "threshold": Style(page_s=300.0, pages=("S05", "S23")),
    "hpa": Style(usd_per_hour=8.0),
    "oracle": Style(repair_s=60.0, page_s=15.0, pages=("S23",), names=True),
    "ours": Style(repair_s=70.0, page_s=60.0, pages=("S23",), names=True),
}


def made(scenario: str, seed: int) -> Episode:
    told: dict[str, Any] = {
        "S05": {},
        "S23": {"family": "data", "recoverable": False},
        "S43": {"family": "control", "benign": True, "onset_s": float("inf")},
    }[scenario]
    return episode(LENGTH, scenario=scenario, seed=seed, **told)


def traced(style: Style, name: str, one: Episode) -> Trace:
    """What happens in one episode under a policy."""
    page = ONSET + style.page_s if one.scenario in style.pages else np.inf
    person = respond(one, page).fixed_s
    scrapes = LENGTH // 15
    told = np.zeros((1, scrapes), bool)
    if np.isfinite(page):
        told[0, int(page) // 15 - 1] = True
    end = int(min(ONSET + style.repair_s, person, LENGTH))
    changes: dict[str, Any] = {"usd_per_hour": style.usd_per_hour}
    if one.scenario == "S05":
        slow = during(ONSET, end, 0.9, 0.2, LENGTH)
        changes |= {"p99_s": slow, "faulty": slow > 0.5}
    elif one.scenario == "S23":
        end = int(min(person, LENGTH))
        low = during(ONSET, end, 0.7, 0.9, LENGTH)
        evidence = during(ONSET + 900, max(end, ONSET + 900), 1.0, 0.0, LENGTH)
        changes |= {"quality": low, "faulty": low < 0.8, "evidence_low": evidence > 0.5}
    named = FAMILIES.index(one.family) if style.names else -1
    moves = {"paged": told, "alarm": told, "family": np.where(told, named, -1)}
    return trace(truth(LENGTH, **changes), (one,), name, **moves)


def scored(style: Style, name: str = "ours", seeds: int = SEEDS) -> Scores:
    """The scores of a policy over the whole catalogue."""
    parts = []
    for scenario in SCENARIOS:
        for seed in range(seeds):
            one = made(scenario, seed)
            hold = traced(STYLES["hold"], "hold", one)
            parts.append(score(traced(style, name, one), hold))
    return joined(parts)


@cache
def everyone() -> dict[str, Scores]:
    """The scores of every policy; do not change them, others look at the same."""
    return {name: scored(style, name) for name, style in STYLES.items()}
