from hypothesis import given
from hypothesis import strategies as st

from homeostat.base import names
from homeostat.base.evidence import Quality, Reading, Verdict
from homeostat.base.policy import Objective
from homeostat.detect.slo import broken, slo_met

PROMISED = Objective(latency_p95_ms=250.0, error_ratio=0.01, accuracy=0.8)
KEYS = {
    (names.GATEWAY, names.LATENCY_P95): (100.0, 300.0),
    (names.GATEWAY, names.ERROR_RATIO): (0.0, 0.05),
    (names.MODEL, names.ACCURACY): (0.9, 0.7),
}


def reading(key: tuple[str, str], value: float | None) -> Reading:
    return Reading(
        subject=key[0],
        signal=key[1],
        value=value,
        verdict=Verdict.UNKNOWN if value is None else Verdict.HEALTHY,
        quality=Quality.STALE if value is None else Quality.GOOD,
        low=None,
        high=None,
        age_ns=0,
        samples=100.0,
    )


answers = st.sampled_from([True, False, None])


@given(st.tuples(answers, answers, answers))
def test_one_broken_promise_is_no_and_yes_needs_every_promise_seen(
    kept: tuple[bool | None, bool | None, bool | None],
) -> None:
    said = dict(zip(KEYS, kept, strict=True))
    readings = {
        key: reading(key, None if said[key] is None else good if said[key] else bad)
        for key, (good, bad) in KEYS.items()
    }
    expected = False if False in said.values() else None if None in said.values() else True
    assert slo_met(readings, PROMISED) is expected
    assert len(broken(readings, PROMISED)) == list(said.values()).count(False)


def test_an_absent_series_is_unknown_and_not_met() -> None:
    assert slo_met({}, PROMISED) is None


def test_accuracy_counts_only_where_it_was_promised() -> None:
    readings = {key: reading(key, good) for key, (good, _) in KEYS.items()}
    del readings[names.MODEL, names.ACCURACY]
    assert slo_met(readings, PROMISED) is None
    assert slo_met(readings, Objective(latency_p95_ms=250.0, error_ratio=0.01)) is True


def test_exactly_the_promise_is_kept() -> None:
    readings = {
        (names.GATEWAY, names.LATENCY_P95): reading((names.GATEWAY, names.LATENCY_P95), 250.0),
        (names.GATEWAY, names.ERROR_RATIO): reading((names.GATEWAY, names.ERROR_RATIO), 0.01),
        (names.MODEL, names.ACCURACY): reading((names.MODEL, names.ACCURACY), 0.8),
    }
    assert slo_met(readings, PROMISED) is True
