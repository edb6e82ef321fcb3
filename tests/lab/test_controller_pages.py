"""What the sources say as columns is what they say page by page."""

import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest
from controller_made import SLOTS, Made, episode
from pages_one_by_one import Pages

from homeostat.base.columns import Columns
from homeostat.base.evidence import Kind, Quality, SourceReport
from homeostat.lab.controller_counters import Counters
from homeostat.lab.controller_names import episode_name
from homeostat.lab.controller_pages import Sources
from homeostat.lab.controller_platform import Platform
from homeostat.signals.fleet import Fleet
from homeostat.twin.outputs import Scrape
from homeostat.twin.shapes import Phase

NAMES = [episode_name(number) for number in range(3)]
Trouble = Callable[[Made], Any]


def gateway_only(made: Made) -> None:
    made.silent = frozenset({"variant", "slot"})


def nothing(made: Made) -> None:
    made.silent = frozenset({"gateway", "variant", "slot"})


def pool_moved(made: Made) -> None:
    made.variants = np.array([0, 2, 0, 1, 0, 1, 0, 0])
    made.phase = np.where(np.arange(SLOTS) == 4, Phase.LOADING, made.phase)


TROUBLES: dict[str, Trouble] = {
    "none": lambda made: None,
    "dead": lambda made: made.dead.add(1),
    "hung": lambda made: made.hung.add(2),
    "old": lambda made: setattr(made, "age_s", 7.1),
    "gateway only": gateway_only,
    "nothing": nothing,
    "moved": pool_moved,
    "tokens lost": lambda made: setattr(made, "tokens", (math.nan, 0.1, 900.0, math.nan)),
}


class Both:
    """Three deployments read by pages and by columns, the middle one in trouble."""

    def __init__(self, *, tokens: bool = False) -> None:
        told = (0.4, 0.0, 1000.0, 120.0) if tokens else None
        self.made = [Made(seed=seed, rate=100.0 + 50.0 * seed, tokens=told) for seed in range(3)]
        self.platforms = [Platform(name, episode().params) for name in NAMES]
        self.counters = Counters(np.full(3, 0.5), SLOTS)
        self.sources = Sources(NAMES, SLOTS, self.counters.bounds_ms)
        self.pages = [Pages(name, number) for number, name in enumerate(NAMES)]

    def scrape(self) -> tuple[Columns[Any], list[SourceReport]]:
        every = [made.scrape() for made in self.made]
        scrape: Scrape = jax.tree.map(lambda *leaves: np.concatenate(leaves), *every)
        now_s = self.made[0].now_s
        for number, platform in enumerate(self.platforms):
            platform.read(now_s, scrape, number)
            again = {index: platform.slots[index].started for index in platform.reborn}
            self.sources.restart(number, again)
        self.counters.take(now_s, scrape)
        reports = [
            report
            for pages, platform in zip(self.pages, self.platforms, strict=True)
            for report in pages.reports(now_s, scrape, self.counters, platform.processes())
        ]
        return self.sources.round(now_s, scrape, self.counters), reports


def of_columns(said: Columns[Any]) -> tuple[set[Any], dict[Any, bool]]:
    catalogue = said.catalogue
    found = set()
    for number, place in enumerate(said.said.tolist()):
        key, le = catalogue.series[place]
        source, deployment, subject = catalogue.pages[int(catalogue.page[place])]
        assert (key.deployment, key.subject) == (deployment, subject)
        epoch, counts = float(said.epoch[number]), bool(catalogue.counts[place])
        told = None if np.isnan(epoch) else epoch
        value = float(said.value[number])
        found.add((source, key, le, counts, value, int(said.at[number]), told))
    assert len(found) == len(said.said)
    asked = [catalogue.pages[place] for place in said.asked.tolist()]
    return found, {
        (source, subject): bool(came)
        for (source, _, subject), came in zip(asked, said.answered.tolist(), strict=True)
    }


def of_reports(reports: list[SourceReport]) -> tuple[set[Any], dict[Any, bool]]:
    found = {
        (r.source, o.key, o.le, o.kind is not Kind.GAUGE, o.value, o.observed_at, o.epoch)
        for r in reports
        for o in r.observations
    }
    return found, {(r.source, s): r.quality is Quality.GOOD for r in reports for s in r.subjects}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_columns_say_what_the_pages_say_to_the_last_bit(trouble: str) -> None:
    both = Both(tokens="tokens" in trouble)
    for tick in range(6):
        if tick == 2:
            TROUBLES[trouble](both.made[1])
        found, asked = of_columns((pair := both.scrape())[0])
        assert (found, asked) == of_reports(pair[1])
        # Something is said at all, of the neighbours of the one in trouble too.
        assert {key.deployment for _, key, *_ in found} >= {NAMES[0], NAMES[2]}


def test_a_fleet_that_reads_columns_knows_what_one_that_reads_pages_knows() -> None:
    both, fleet = Both(tokens=True), Fleet()
    by_column = by_page = fleet.init()
    for tick in range(1, 9):
        if tick == 4:
            both.made[0].dead.add(0)
            nothing(both.made[1])
            pool_moved(both.made[2])
        said, reports = both.scrape()
        now = max(report.at for report in reports)
        by_column, one = fleet.step(by_column, (said,), (), (), now, tick)
        by_page, other = fleet.step(by_page, reports, (), (), now, tick)
        assert one.signals.keys == other.signals.keys
        assert one.signals.quality == other.signals.quality
        for name in ("values", "age_ns", "samples"):
            np.testing.assert_array_equal(getattr(one.signals, name), getattr(other.signals, name))
        assert one.pages == other.pages
    assert by_column.table.ids == by_page.table.ids
    assert len(by_column.table.index) > 100
