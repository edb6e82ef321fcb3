"""`homeostat explain` in words: tests of objectives, and shares that fill up."""

from typing import Any

from homeostat.cli import tables
from homeostat.cli.tables import clock

SINCE = 1_800_000_000.0


def said(**known: Any) -> dict[str, str | list[str]]:
    then: dict[str, Any] = {
        "health_score": None, "health_parts": [], "slo_met": False, "suspicions": [],
        "forecasts": [], "promises": [], "drifts": [],
    }  # fmt: skip
    return tables.then({"then": then | known})


def counted(*, broken: bool | None, log10_e: float, since: float | None) -> dict[str, Any]:
    return {
        "subject": "gateway", "signal": "error_ratio", "limit": 0.01, "broken": broken,
        "log10_e": log10_e, "since": since, "tests": 40,
        "share_low": 0.002, "share_high": 0.05, "share_tests": 40,
    }  # fmt: skip


def climbs(*left_s: float | None) -> dict[str, Any]:
    return {
        "subject": "replica:a-1", "signal": "kv_usage", "limit": 1.0, "time_to_limit_s": None,
        "likely_s": None, "horizons_s": [], "chances": [], "quantiles": [], "left_s": [*left_s],
    }  # fmt: skip


def test_a_test_is_said_with_its_evidence_and_since_when() -> None:
    every = said(
        promises=[
            counted(broken=True, log10_e=7.0, since=SINCE),
            counted(broken=False, log10_e=0.0, since=None),
            counted(broken=None, log10_e=2.0, since=SINCE),
        ]
    )["objectives tested"]
    share = "; share that breaks it 0.002 to 0.05"
    since = f", against it since {clock(SINCE)} (40 ticks){share}"
    assert every == [
        f"gateway error_ratio, 0.01 promised: broken, e-value 1e+07{since}",
        f"gateway error_ratio, 0.01 promised: not shown to be broken, e-value 1 (40 ticks){share}",
        f"gateway error_ratio, 0.01 promised: not counted now, e-value 1e+02{since}",
    ]
    assert said()["objectives tested"] == ["not counted"]


def test_a_share_that_fills_up_is_said_by_its_quantiles_and_one_that_does_not_is_left_out() -> None:
    every = said(forecasts=[climbs(240.0, 1200.0, None), climbs(), climbs(None, None, None)])
    assert every["forecasts then"] == [
        "replica:a-1 kv_usage full: 5% in 4 min, 50% in 20 min, 95% not in sight"
    ]
    assert said()["forecasts then"] == ["-"]
