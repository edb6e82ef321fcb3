"""Pages that real servers wrote are bound to the right preset, or to none, and read right.

`expositions/` holds them as they were served, comments left out: Envoy 1.40.0 with one cluster, 20
requests of which 4 were answered 500; Prometheus 2.42.0 (Debian) of its own, a decoy.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from homeostat.adapters.sources.presets_choose import choose, discover
from homeostat.adapters.sources.presets_file import presets
from homeostat.adapters.sources.prometheus_answer import Series
from homeostat.adapters.sources.prometheus_reading import Reading
from homeostat.base import raw
from homeostat_instrument import monitor

PAGES = Path(__file__).parent / "expositions"
STEP_S = 15.0


def samples(page: str) -> Iterator[Sample]:
    text = (PAGES / page).read_text(encoding="utf-8")
    for family in text_string_to_metric_families(text):
        yield from family.samples


def scraped(sample: Sample, values: tuple[float, ...]) -> Series:
    labels = {"__name__": sample.name, "job": "j", "instance": "i"} | sample.labels
    return Series(
        labels=labels,
        samples=tuple((STEP_S * place, value) for place, value in enumerate(values, start=1)),
        identity=frozenset(labels.items()),
    )


def read(page: str, preset: str) -> dict[tuple[str, str, float | None], float]:
    """Return what is read of a page that was all zeros one scrape before."""
    reading = Reading([presets()[preset].rules], deployment="d", subject="gateway")
    wanted = [one for one in samples(page) if one.name in reading.names]
    reading.take([scraped(one, (0.0,)) for one in wanted])
    values = reading.take([scraped(one, (0.0, one.value)) for one in wanted])
    return {(one.key.subject, one.key.signal, one.le): one.value for one in values}


@pytest.mark.parametrize(
    ("page", "chosen"), [("envoy-1.40.0.txt", ("envoy",)), ("prometheus-2.42.0.txt", ())]
)
def test_a_real_page_is_bound_to_what_it_is(page: str, chosen: tuple[str, ...]) -> None:
    names = {one.name for one in samples(page)}
    assert len(names) > 100
    assert choose(names) == chosen
    assert discover({"job": names}) == {}  # a gateway alone serves no model


def test_envoys_page_says_how_many_came_and_how_they_were_answered() -> None:
    told = read("envoy-1.40.0.txt", "envoy")
    for subject in ("gateway", "pool:a"):
        assert told[subject, raw.REQUESTS_ARRIVED, None] == 20.0
        assert told[subject, raw.REQUESTS_OK, None] == 16.0
        assert told[subject, raw.REQUESTS_5XX, None] == 4.0
        assert told[subject, raw.LATENCY, math.inf] == 20.0
    assert {subject for subject, _, _ in told} == {"gateway", "pool:a"}


def test_the_instruments_own_page_is_bound_before_its_first_request() -> None:
    """A server that nobody has asked yet is known for what it is, and its zeros are zeros."""
    page = generate_latest(monitor("credit", "v2").registry).decode()
    found = [one for family in text_string_to_metric_families(page) for one in family.samples]
    assert choose({one.name for one in found}) == ("homeostat_instrument",)
    preset = presets()["homeostat_instrument"].rules
    reading = Reading([preset], deployment="d", subject="replica:a-1")
    values = reading.take([scraped(one, (one.value,)) for one in found])
    told = {one.key.signal: one.value for one in values if one.le is None}
    assert told[raw.REQUESTS_ARRIVED] == told[raw.REQUESTS_5XX] == told[raw.INFLIGHT] == 0.0
