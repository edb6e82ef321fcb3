"""The slower clock: what is a time grows, what is a rate shrinks, and nothing is forgotten."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from homeostat.base.errors import ConfigError
from homeostat.base.units import SECOND
from homeostat.demo import live_settings
from homeostat.lab import scenario_schema
from homeostat.lab.draw import draw
from homeostat.lab.stretch import stretched, stretched_entry
from homeostat.lab.types import Episode

FACTOR = 15.0
TEXT = """\
id: U1
name: stretched
family: infrastructure
summary: One fault.
length_s: 600
onset: {{shape: step, start_s: 40, duration_s: {duration}}}
faults:
  - {{primitive: {primitive}, magnitude: {magnitude}}}
"""


def episode(
    primitive: str = "contention", magnitude: float = 8.0, duration: str = "until_fixed"
) -> Episode:
    text = TEXT.format(primitive=primitive, magnitude=magnitude, duration=duration)
    (scenario,) = scenario_schema.load(text, "u1.yaml")
    return draw(scenario, 3)


def ratios(old: object, new: object) -> dict[str, float]:
    """Return by how much each parameter has grown; those that are none or endless left out."""
    found = {}
    pairs = zip(
        jax.tree_util.tree_leaves_with_path(old), jax.tree_util.tree_leaves(new), strict=True
    )
    for (path, before), after in pairs:
        one, other = np.ravel(before)[0], np.ravel(after)[0]
        if one != 0.0 and np.isfinite(one):
            found[jax.tree_util.keystr(path)] = float(other / one)
    return found


def test_every_time_grows_every_rate_shrinks_and_the_rest_stays() -> None:
    first = episode()
    found = ratios(first.params, stretched(first, FACTOR).params)
    for name, ratio in found.items():
        # By the names alone, so that a parameter that is new is not forgotten.
        is_time = name.endswith("_s") and name != ".provision.cold_speed"
        is_rate = name.endswith(("_rps", "_per_hour"))
        expected = FACTOR if is_time else 1.0 / FACTOR if is_rate else 1.0
        assert ratio == pytest.approx(expected, rel=1e-5), name
    assert len(found) > 40


def test_a_stretch_by_one_changes_nothing() -> None:
    first = episode("arrival_mult", 5.4, "100")
    same = stretched(first, 1.0)
    for one, other in zip(jax.tree.leaves(first.faults), jax.tree.leaves(same.faults), strict=True):
        np.testing.assert_array_equal(one, other)
    assert set(ratios(first.params, same.params).values()) == {1.0}
    assert (same.length_s, same.onset_s) == (first.length_s, first.onset_s)


def test_a_fault_comes_and_goes_on_the_slower_clock() -> None:
    first = episode("arrival_mult", 5.4, "100")
    slow = stretched(first, FACTOR, length_s=130.0)
    assert slow.onset_s == float(slow.faults.start_s[0]) == 40 * FACTOR
    assert float(slow.faults.stop_s[0]) == 140 * FACTOR
    assert slow.length_s == 130 * FACTOR
    assert float(slow.faults.magnitude[0]) == pytest.approx(5.4)
    assert np.isinf(slow.faults.start_s[1:]).all()


@pytest.mark.parametrize(
    ("primitive", "magnitude", "expected"),
    [
        ("net_delay_s", 0.2, 3.0),  # a time
        ("frontend_capacity_rps", 30.0, 2.0),  # a rate
        ("backlog_release", 2.0, 30.0),  # minutes of a load that is so much smaller
        ("mem_leak_per_req_kb", 150.0, 150.0),  # per request
        ("metric_delay_s", 100.0, 705.0),  # cut to what the twin keeps
    ],
)
def test_magnitudes_follow_their_units(primitive: str, magnitude: float, expected: float) -> None:
    slow = stretched(episode(primitive, magnitude), FACTOR)
    assert float(slow.faults.magnitude[0]) == pytest.approx(expected)


def test_a_magnitude_of_unknown_unit_is_refused() -> None:
    with pytest.raises(ConfigError, match="metric_bias"):
        stretched(episode("metric_bias", 5.0), FACTOR)


def test_the_controllers_own_times_follow_and_its_scrapes_stay() -> None:
    entry = live_settings.managed()
    slow = stretched_entry(entry, FACTOR)
    assert slow.scrape_ns == 15 * SECOND
    assert slow.objective.latency_p95_ms == entry.objective.latency_p95_ms * FACTOR
    assert slow.guard.receipt_deadline_ns == entry.guard.receipt_deadline_ns * FACTOR
    assert slow.guard.readiness_deadline_ns == entry.guard.readiness_deadline_ns * FACTOR
    kept = replace(
        slow.guard,
        receipt_deadline_ns=entry.guard.receipt_deadline_ns,
        readiness_deadline_ns=entry.guard.readiness_deadline_ns,
    )
    assert kept == entry.guard
