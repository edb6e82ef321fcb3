"""The description of the local deployment: the numbers agree with what its processes are given."""

import pytest

from homeostat.demo import live_settings, load_client, place, setup
from homeostat.demo.host_settings import HostSettings
from homeostat.demo.server_settings import ServerSettings
from homeostat.lab.deployments import DEFAULTS

SERVER = {name: field.default for name, field in ServerSettings.__dataclass_fields__.items()}


def test_every_number_is_one_that_a_deployment_has_and_within_its_bounds() -> None:
    for name, value in live_settings.numbers().items():
        assert DEFAULTS[name].low <= value <= DEFAULTS[name].high, name


def test_the_service_law_is_that_of_the_model_servers() -> None:
    numbers = live_settings.numbers()
    assert numbers["tau0_s"] * 1000.0 == pytest.approx(SERVER["tau0_ms"])
    assert numbers["tau0_s"] * numbers["alpha_ratio"] * 1000.0 == pytest.approx(SERVER["alpha_ms"])
    assert numbers["batch_max"] == SERVER["batch_max"]
    assert numbers["queue_delay_s"] * 1000.0 == pytest.approx(SERVER["batch_wait_ms"])


def test_a_replica_holds_what_waits_and_what_runs() -> None:
    numbers, host = live_settings.numbers(), live_settings.host_settings()
    capacity = host.batch_max / (host.tau0_ms + host.alpha_ms * host.batch_max) * 1000.0
    held = numbers["queue_ratio"] * numbers["timeout_s"] * capacity
    assert held == pytest.approx(host.queue_max + host.batch_max)
    assert numbers["base_rho"] * 3 * capacity == pytest.approx(place.BASE_RATE)


def test_users_are_those_of_the_load_generator() -> None:
    numbers = live_settings.numbers()
    assert (numbers["timeout_s"], numbers["retries"]) == (load_client.ATTEMPT_S, 1)
    assert live_settings.rate_of_one() == pytest.approx(0.9 * place.BASE_RATE / 3)
    assert sum(live_settings.shares()) == pytest.approx(1.0)


def test_the_configuration_is_the_one_that_the_demo_writes() -> None:
    entry = live_settings.managed()
    assert entry.objective == setup.OBJECTIVE
    assert entry.scrape_ns == 1_000_000_000
    assert entry.guard.persist_scrapes == 6  # the shipped policy's, not the default
    assert live_settings.numbers()["spares"] == HostSettings.__dataclass_fields__["spares"].default
