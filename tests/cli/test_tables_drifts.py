"""`homeostat explain` and `get` in words: tests of histograms."""

from typing import Any

from homeostat.cli import tables

NOTHING: dict[str, Any] = dict.fromkeys((
    "total_variation", "psi", "psi_by_chance", "gap", "gap_neg_log10_p", "reference", "bound",
    "share", "share_low", "share_high", "looks",
))  # fmt: skip
FEW: dict[str, Any] = NOTHING | {
    "subject": "pool:a", "kind": "prediction", "name": "", "moved": None, "why": "few",
    "against": "v2", "log10_e": 0.0, "all_log10_e": 0.0, "among": 1, "events": 12.0,
}  # fmt: skip
MOVED: dict[str, Any] = FEW | {
    "moved": True, "why": "", "log10_e": 6.0, "all_log10_e": 5.0, "among": 3,
    "kind": "activation", "name": "mean:head", "total_variation": 0.2, "psi": 0.31,
    "psi_by_chance": 0.01, "gap": 0.15, "gap_neg_log10_p": 9.04, "events": 812.0,
    "reference": 4000.0, "bound": 0.5, "share": 0.6, "share_low": 0.4, "share_high": 0.5,
    "looks": 12,
}  # fmt: skip
SIZES = (
    "; total variation 0.2, PSI 0.31 (0.01 by chance), KS 0.15 (-log10 p 9.0 at this look), "
    "812 events against 4000 of v2; up to 0.5: 0.6, was 0.4 to 0.5"
)


def said(*drifts: dict[str, Any]) -> Any:
    then: dict[str, Any] = {
        "health_score": None, "health_parts": [], "slo_met": True, "suspicions": [],
        "forecasts": [], "promises": [], "drifts": list(drifts),
    }  # fmt: skip
    return tables.then({"then": then})["histograms tested"]


def test_a_histogram_is_said_with_its_evidence_and_sizes_or_why_there_is_none() -> None:
    missing = FEW | {"why": "missing", "log10_e": None, "all_log10_e": None, "events": None}
    same = MOVED | {"moved": False, "looks": None, "among": 1, "bound": None}
    assert said(MOVED, FEW, missing, same) == [
        "pool:a activation mean:head: moved 12 ticks ago, e-value 1e+06, 1e+05 of all 3" + SIZES,
        "pool:a prediction: unknown (few), e-value 1 (of 12 events, no size yet)",
        "pool:a prediction: unknown (missing)",
        "pool:a activation mean:head: not shown to have moved, e-value 1e+06"
        + SIZES.partition("; up to")[0],
    ]
    assert said() == ["none"]
