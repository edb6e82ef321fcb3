"""What `homeostat judge` counts from a real Prometheus is what the pages of both arms counted."""

from pathlib import Path

import pytest
from prometheus_server import ask, needed, scraping, until

from homeostat.cli.judge_prometheus import asked, far_counters

pytestmark = [needed, pytest.mark.slow]

EACH, BAD = 250.0, 15.0
RESTART, LOST, SCRAPES = 6, 10, 16


class Pod:
    """A page that counts on at each scrape; it begins anew once, and once it cannot be read."""

    def __init__(self, pool: str, bad: float, *, troubled: bool = False) -> None:
        self.pool, self.bad, self.troubled = pool, bad, troubled
        self.scrapes = 0
        self._hits = self._errors = 0.0

    def __call__(self) -> str:
        self.scrapes += 1
        if self.troubled and self.scrapes == RESTART:
            self._hits = self._errors = 0.0
        self._hits, self._errors = self._hits + EACH, self._errors + self.bad
        if self.troubled and self.scrapes == LOST:
            return "this is no page of metrics {"
        told = f'hits_total{{pool="{self.pool}"}} {self._hits}\n'
        # As a client does: a counter is there from its first event on.
        return told + (f'errors_total{{pool="{self.pool}"}} {self._errors}\n' if self.bad else "")


def test_restarts_and_lost_scrapes_are_unknown_and_the_rest_is_exact(tmp_path: Path) -> None:
    canary, stable = Pod("c", BAD, troubled=True), Pod("a", 0.0)
    queries = [
        f'{arm}_{part}={metric}_total{{pool="{pool}"}}'
        for arm, pool in (("canary", "c"), ("stable", "a"))
        for part, metric in (("total", "hits"), ("bad", "errors"))
    ]
    with scraping(tmp_path, {"canary": canary, "stable": stable}) as server:
        until(lambda: min(canary.scrapes, stable.scrapes) >= SCRAPES)
        until(lambda: len(ask(server.url, "/api/v1/query", query="hits_total")["result"]) > 1)
        far = asked(server.url, queries, 2.0, None)
        assert far is not None
        found = far_counters(far).counts
    canaries = [(one.canary_total, one.canary_bad) for one in found]
    known = [pair for pair in canaries if pair[0] is not None]
    assert set(known) == {(EACH, BAD)}, canaries
    assert len(known) >= SCRAPES // 2
    # Anew once, and not read once: both stretches beside that, and nothing repeated or made up.
    middle = canaries[canaries.index(known[0]) : len(canaries) - canaries[::-1].index(known[0])]
    assert middle.count((None, None)) >= 3, canaries
    stables = {(one.stable_total, one.stable_bad) for one in found} - {(None, None)}
    assert stables == {(EACH, 0.0)}, "not one failure, on pages that were read"
