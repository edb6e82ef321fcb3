"""The health score of what the senses know: unknown is never good, the worst is said first."""

from dataclasses import replace

from homeostat.base import names
from homeostat.base.evidence import (
    Anomaly,
    Family,
    Forecast,
    Health,
    Quality,
    Reading,
    Suspicion,
    Verdict,
)
from homeostat.base.policy import Objective
from homeostat.base.units import MINUTE
from homeostat.detect.health_of import health_of

OBJECTIVE = Objective(latency_p95_ms=200.0, error_ratio=0.01)
LATENCY, ERRORS = (names.GATEWAY, names.LATENCY_P95), (names.GATEWAY, names.ERROR_RATIO)
MEMORY = ("replica:a-1", names.MEMORY_SHARE)
HORIZONS = (5 * MINUTE, 15 * MINUTE, 60 * MINUTE)


def reading(key: tuple[str, str], value: float | None) -> Reading:
    return Reading(
        subject=key[0], signal=key[1], value=value, verdict=Verdict.HEALTHY,
        quality=Quality.MISSING if value is None else Quality.GOOD, low=None, high=None, age_ns=0,
        samples=100.0,
    )  # fmt: skip


def ahead(key: tuple[str, str], *chances: float | None) -> Forecast:
    return Forecast(
        subject=key[0], signal=key[1], limit=1.0, time_to_limit_ns=None, horizons_ns=HORIZONS,
        chances=chances,
    )  # fmt: skip


CALM = (ahead(LATENCY, 0.0, 0.0, 0.0), ahead(ERRORS, 0.0, 0.0, 0.0))


def found(
    *, latency: float | None = 50.0, errors: float | None = 0.0,
    forecasts: tuple[Forecast, ...] = CALM, anomalies: tuple[Anomaly, ...] = (),
    suspicions: tuple[Suspicion, ...] = (), objective: Objective = OBJECTIVE,
    memory: float | None = 0.4,
) -> Health:  # fmt: skip
    seen = {
        key: reading(key, value)
        for key, value in ((LATENCY, latency), (ERRORS, errors), (MEMORY, memory))
    }
    return health_of(
        readings=seen, forecasts=forecasts, anomalies=anomalies, suspicions=suspicions,
        objective=objective,
    )  # fmt: skip


def test_all_well_and_all_known_is_a_hundred_with_nothing_to_say() -> None:
    assert found() == Health(score=100.0, low=100.0, high=100.0, verdict=Verdict.HEALTHY, parts=())


def test_a_promise_that_nobody_sees_is_unknown_and_scores_nought() -> None:
    for seen in (found(latency=None), found(objective=replace(OBJECTIVE, accuracy=0.8))):
        assert (seen.score, seen.low, seen.verdict) == (0.0, 0.0, Verdict.UNKNOWN)
        assert seen.high > 0.0
        assert seen.parts[0].verdict is Verdict.UNKNOWN


def test_a_promise_that_nobody_forecasts_is_unknown() -> None:
    assert found(forecasts=CALM[:1]).verdict is Verdict.UNKNOWN
    assert found(forecasts=(CALM[0], ahead(ERRORS, None, None, None))).verdict is Verdict.UNKNOWN
    assert found(forecasts=()).score < found().score


def test_memory_that_nobody_sees_any_more_is_unknown_and_not_out_of_sight() -> None:
    nothing = Forecast(subject=MEMORY[0], signal=MEMORY[1], limit=1.0, time_to_limit_ns=None)
    assert found(forecasts=(*CALM, nothing), memory=0.4) == found()
    blind = found(forecasts=(*CALM, nothing), memory=None)
    assert blind.verdict is Verdict.UNKNOWN
    assert blind.score < 100.0
    assert [one.concern for one in blind.parts] == ["time_left"]


def test_a_share_that_climbs_counts_by_its_quantiles_and_never_later_than_what_is_acted_on() -> (
    None
):
    def climb(
        left: tuple[int | None, ...], until: int | None = None, signal: str = MEMORY[1]
    ) -> Health:
        one = Forecast(
            subject=MEMORY[0], signal=signal, limit=1.0, time_to_limit_ns=until, left_ns=left
        )
        return found(forecasts=(*CALM, one))

    minutes = (4 * MINUTE, 20 * MINUTE, None)
    said = climb(minutes, 4 * MINUTE)
    assert said.parts[0].because == "5% by 240 s, 50% by 1200 s, 95% by none in sight"
    assert said.parts[0].verdict is Verdict.ANOMALOUS
    # All at once takes more away than perhaps, and what is acted on at 4 minutes is no later.
    assert climb((0, 0, 0), 0).score < said.score < 100.0
    assert climb((50 * MINUTE, None, None), 4 * MINUTE).parts[0].because.startswith("5% by 240 s")
    # A KV cache is told of by its quantiles alone.
    assert climb(minutes, None, names.KV_USAGE).parts[0].signal == names.KV_USAGE
    assert climb((), 4 * MINUTE).parts[0].because == "5% by 240 s"


def test_demand_without_a_capacity_takes_nothing_away() -> None:
    rate = ("pool:a", names.ARRIVAL_RATE)
    assert found(forecasts=(*CALM, ahead(rate, None, None, None))) == found()
    assert found(forecasts=(*CALM, ahead(rate, 0.5, 0.5, 0.5))).score < 100.0


def test_what_takes_most_away_is_said_first_and_in_numbers() -> None:
    memory = Forecast(
        subject="replica:a-1", signal=names.MEMORY_SHARE, limit=1.0, time_to_limit_ns=2 * MINUTE
    )
    alarm = Anomaly(
        detector="ewma", subject="replica:a-1", signal=names.QUEUE_LENGTH,
        verdict=Verdict.ANOMALOUS, neg_log10_p=9.0,
    )  # fmt: skip
    fault = Suspicion(
        family=Family.MEMORY, subject="replica:a-1", confidence=0.9, because=("memory at 95%",)
    )
    seen = found(forecasts=(*CALM, memory), anomalies=(alarm,), suspicions=(fault,))
    assert [one.concern for one in seen.parts] == ["time_left", "suspicion", "alarm"]
    assert seen.parts[1].because == "memory at 95%"
    assert seen.verdict is Verdict.ANOMALOUS
    assert 0.0 < seen.score < 50.0


def test_a_sparse_series_elsewhere_may_stay_silent_but_none_of_the_promise() -> None:
    def silent(subject: str) -> Anomaly:
        return Anomaly(
            detector="ewma", subject=subject, signal=names.LATENCY_P95, verdict=Verdict.UNKNOWN,
            neg_log10_p=None,
        )  # fmt: skip

    assert found(anomalies=(silent("replica:a-1"),)) == found()
    assert found(anomalies=(silent(names.GATEWAY),)).verdict is Verdict.UNKNOWN
