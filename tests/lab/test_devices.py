"""What the lab's controller is told of accelerators: read off the state, hidden with the rest."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest
from controller_made import SLOTS, Made, S, episode

from homeostat.base import names, raw
from homeostat.lab.controller_counters import Counters
from homeostat.lab.controller_pages import Sources
from homeostat.lab.controller_platform import Platform
from homeostat.lab.devices import Told, gauges, plain, told
from homeostat.twin import memory, signals
from homeostat.twin import params as p
from homeostat.twin.outputs import Scrape

BASE, LIMIT = 1.0, 4.0


def params() -> Any:
    made = episode().params
    filled = p.Memory(**(vars(made.memory) | {"base_gib": BASE, "limit_gib": LIMIT}))
    both = replace(made, memory=filled)
    return jax.tree.map(lambda leaf: np.asarray(leaf)[None], both)


def state(leaked: float) -> Any:
    gib = np.zeros((1, SLOTS))
    gib[0, 1] = leaked
    return SimpleNamespace(live=SimpleNamespace(slots=SimpleNamespace(device_gib=gib)))


def device(scrape: Scrape, leaked: float) -> Any:
    found = told(scrape, params(), state(leaked))
    assert isinstance(found, Told)
    return found.device


def test_a_fresh_device_is_as_full_as_its_host_and_a_leak_fills_the_rest() -> None:
    scrape = Made().scrape()
    shares = [device(scrape, gib)[0, :2] for gib in (0.0, 5.0, 100.0)]
    np.testing.assert_allclose(
        shares, [[0.25, 0.25], [0.25, 0.25 + 0.75 * 5.0 / memory.DEVICE_FREE_GIB], [0.25, 1.0]]
    )


def test_what_hides_the_host_hides_the_device() -> None:
    made = Made()
    made.silent = frozenset({"slot"})
    assert np.isnan(device(made.scrape(), 5.0)).all()


def test_a_twin_without_slots_tells_nothing() -> None:
    scrape = Made().scrape()
    assert told(scrape, params(), object()) is scrape
    assert np.isnan(gauges(scrape)).all()


def said(scrape: Scrape) -> dict[tuple[str, str], float]:
    """Return what replicas' pages say in gauges of devices."""
    counters = Counters(np.full(1, 0.5), SLOTS)
    sources = Sources(["d"], SLOTS, counters.bounds_ms)
    Platform("d", episode().params).read(5.0, scrape, 0)
    counters.take(5.0, scrape)
    columns = sources.round(5.0, scrape, counters)
    wanted = {raw.DEVICE_USED, raw.DEVICE_TOTAL, raw.DEVICE_BUSY}
    return {
        (key.subject, key.signal): float(value)
        for (key, _), value in zip(
            (columns.catalogue.series[place] for place in columns.said), columns.value, strict=True
        )
        if key.signal in wanted
    }


def test_pages_say_it_where_it_is_told_and_never_more_than_all() -> None:
    scrape = Made().scrape()
    assert said(scrape) == {}
    assert type(plain(told(scrape, params(), state(5.0)))) is type(scrape)
    slot: Any = np.array(scrape.slot)
    slot[0, :, S[signals.GPU_SHARE]] = 1.02
    found = said(told(replace(scrape, slot=slot), params(), state(5.0)))
    a = names.replica("a-2")
    assert found[a, raw.DEVICE_USED] == pytest.approx(0.25 + 0.75 * 0.5)
    assert found[a, raw.DEVICE_TOTAL] == 1.0
    assert found[a, raw.DEVICE_BUSY] == 1.0
