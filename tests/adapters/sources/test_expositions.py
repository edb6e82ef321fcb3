"""Pages that real servers wrote are bound to what they are, or to nobody, and read right.

`expositions/expected.yaml` says which and why; `record_expositions` makes those of servers that run
here anew. What a page does not count is not told: a zero there would be a quiet lie.
"""

import json
import math

import pytest
import yaml
from expositions_bound import PAGES, Expected, all_expected, bound, samples, told
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from record_recipes import RECIPES

from homeostat.adapters.sources.presets_choose import choose
from homeostat.adapters.sources.presets_file import presets
from homeostat.adapters.sources.prometheus_answer import Series
from homeostat.adapters.sources.prometheus_reading import Reading
from homeostat.base import raw
from homeostat_instrument import monitor

EXPECTED = all_expected()


@pytest.mark.parametrize("expected", EXPECTED, ids=lambda one: one.name)
def test_a_page_is_bound_to_what_it_is_and_tells_what_was_counted(expected: Expected) -> None:
    outcome = bound(expected)
    assert outcome.wrong == ()
    assert outcome.missed == ()


def test_there_are_twenty_pages_eight_servers_that_ran_here_and_five_decoys() -> None:
    kinds = [one.said["kind"] for one in EXPECTED]
    ran = [one for one in EXPECTED if "of" not in one.said and one.said["kind"] != "decoy"]
    assert len(EXPECTED) >= 20
    assert kinds.count("decoy") >= 5
    families = {preset for one in ran for preset in one.said["presets"]}
    assert families == {
        "bentoml", "envoy", "fastapi", "haproxy", "homeostat_instrument", "kserve_python",
        "mlserver", "ray_serve", "triton",
    }  # fmt: skip
    assert any("litserve" in one.name for one in ran)


def test_every_page_says_where_it_is_from_and_none_names_a_machine() -> None:
    names = {one.page for one in EXPECTED} | {
        f"{one.name}.before.txt" for one in EXPECTED if one.pair
    }
    assert {page.name for page in PAGES.glob("*.txt")} == names
    for one in EXPECTED:
        if "of" in one.said:
            assert len(one.said["of"]["commit"]) == 40
            assert one.said["of"]["licence"]
        if one.pair:
            by = json.loads((PAGES / f"{one.name}.json").read_text())
            assert by["server"] in RECIPES
            assert by["recorded_by"].endswith(f"record_expositions.py {by['server']}")
    text = "".join(page.read_text() for page in PAGES.glob("*"))
    for folder in ("root", "tmp", "home"):
        assert f"/{folder}" not in text
    assert "session_20" not in text


def test_a_page_that_is_bound_otherwise_is_found_wrong() -> None:
    """The figure can fall: a stranger's name, and a number that is another one, are seen."""
    [mlserver] = [one for one in EXPECTED if one.name.startswith("mlserver")]
    other = Expected(name=mlserver.name, pair=True, said={**mlserver.said, "presets": ["triton"]})
    assert bound(other).wrong == ("bound to mlserver",)
    assert bound(other).missed == ("not bound to triton",)
    values = {"requests_arrived": 37, "queue_length": 1}
    off = Expected(name=mlserver.name, pair=True, said={**mlserver.said, "values": values})
    assert bound(off).wrong == ("requests_arrived is 38, not 37",)
    assert bound(off).missed == ("queue_length is not told",)
    lie = Expected(name=mlserver.name, pair=True, said={**mlserver.said, "absent": ["inflight"]})
    assert bound(lie).wrong == ("inflight is told (0) and not counted",)


def test_envoys_pages_are_told_by_pool_and_its_gateway_apart() -> None:
    found = told("envoy-one-cluster-1.40.0.txt", ["envoy"])
    for subject in ("model", "pool:a"):
        assert found[subject, raw.REQUESTS_ARRIVED, None] == 20.0
        assert found[subject, raw.REQUESTS_5XX, None] == 4.0
        assert found[subject, raw.LATENCY, math.inf] == 20.0
    assert {subject for subject, _, _ in found} == {"model", "pool:a"}


def test_what_a_pool_could_not_be_asked_arrived_there_all_the_same() -> None:
    """20 of 29 found no server behind the pools: they failed, so they must have arrived."""
    found = told("envoy-1.40.0.before.txt", ["envoy"])
    for pool in ("pool:a", "pool:b"):
        arrived, ok, failed = (
            found[pool, signal, None]
            for signal in (raw.REQUESTS_ARRIVED, raw.REQUESTS_OK, raw.REQUESTS_5XX)
        )
        assert arrived == ok + failed


def test_the_instruments_own_page_is_bound_before_its_first_request() -> None:
    """A server that nobody has asked yet is known for what it is, and its zeros are zeros."""
    page = generate_latest(monitor("credit", "v2").registry).decode()
    found = [one for family in text_string_to_metric_families(page) for one in family.samples]
    assert choose({one.name for one in found}) == ("homeostat_instrument",)
    preset = presets()["homeostat_instrument"].rules
    reading = Reading([preset], deployment="d", subject="replica:a-1")
    values = reading.take([
        Series(
            labels=(labels := {"__name__": one.name, "instance": "i"} | one.labels),
            samples=((15.0, one.value),),
            identity=frozenset(labels.items()),
        )
        for one in found
    ])
    seen = {one.key.signal: one.value for one in values if one.le is None}
    assert seen[raw.REQUESTS_ARRIVED] == seen[raw.REQUESTS_5XX] == seen[raw.INFLIGHT] == 0.0


def test_a_page_has_what_its_server_shows_and_not_what_a_preset_names() -> None:
    """None is made from the presets: each server's shows names that no preset has."""
    known = {name for one in presets().values() for name in one.entry.metrics}
    assert yaml.safe_load((PAGES / "expected.yaml").read_text())["recorded"]
    for one in EXPECTED:
        assert {sample.name for sample in samples(one.page)} - known, one.name
