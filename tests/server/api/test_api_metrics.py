"""`/metrics` says what happened, in names and units that Prometheus users expect."""

import math
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families

from homeostat.base.events import ClockJumped
from homeostat.base.types import KillLevel
from homeostat.base.units import HOUR, SECOND
from homeostat.server.view import View


def samples(client: TestClient) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_the_story_can_be_counted(bench: Any, client: TestClient) -> None:
    bench.now += 3 * SECOND
    bench.level_now = KillLevel.NOTHING
    bench.view.loop_took(3_000_000)
    bench.view.event(ClockJumped(at=bench.now, by_ns=-HOUR), deployment="credit")
    found = samples(client)
    mine = (("deployment", "credit"),)
    assert (
        found[
            "homeostat_decisions_total",
            (("action", "restart_replica"), ("decision", "apply"), *mine, ("mode", "auto")),
        ]
        == 1
    )
    assert found["homeostat_blocked_actions_total", (*mine, ("rule", "G5"))] == 2
    assert found["homeostat_outcomes_total", (*mine, ("effect", "helped"))] == 1
    assert found["homeostat_clock_jumps_total", mine] == 1
    assert found["homeostat_safe_set_size", mine] == 3
    assert found["homeostat_autonomy_level", mine] == 2
    assert found["homeostat_open_incidents", mine] == 1
    assert found["homeostat_approvals_pending", mine] == 1
    assert found["homeostat_kill_switch_level", ()] == 2
    assert found["homeostat_data_age_seconds", mine] == pytest.approx(3.2)
    assert found["homeostat_incident_recovery_seconds_count", mine] == 1
    assert found["homeostat_incident_recovery_seconds_sum", mine] == pytest.approx(26.0)
    assert found["homeostat_incident_recovery_seconds_bucket", (*mine, ("le", "20.0"))] == 0
    assert found["homeostat_incident_recovery_seconds_bucket", (*mine, ("le", "30.0"))] == 1
    assert found["homeostat_loop_seconds_bucket", (("le", "0.005"),)] == 1
    assert found["homeostat_loop_seconds_bucket", (("le", "0.0025"),)] == 0
    assert all(math.isfinite(value) for value in found.values())  # fmt: skip


def test_what_is_not_known_has_no_sample_rather_than_a_zero(bench: Any) -> None:
    bench.view = View()
    bench.tell("fresh", ticks=1)  # configured, never measured
    with TestClient(bench.app()) as client:
        names = {name for name, _ in samples(client)}
    assert "homeostat_data_age_seconds" not in names
    assert "homeostat_safe_set_size" not in names
    assert "homeostat_autonomy_level" in names


def test_a_clock_that_went_back_gives_no_negative_age(bench: Any, client: TestClient) -> None:
    bench.now -= 3600 * SECOND
    assert samples(client)["homeostat_data_age_seconds", (("deployment", "credit"),)] == 0.0
