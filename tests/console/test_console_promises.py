"""Tests of objectives on a deployment's page: what speaks against them, and where levels lie."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from homeostat.base import names
from homeostat.base.promise import PromiseTest
from homeostat.base.units import MINUTE, TimeNs

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def promises(now: TimeNs) -> tuple[PromiseTest, ...]:
    """Return one that is broken, and one of which nothing was counted."""
    broken = PromiseTest(
        subject=names.GATEWAY, signal=names.ERROR_RATIO, limit=0.01, broken=True, log10_e=6.8,
        since=TimeNs(now - MINUTE), tests=400, share_low=0.04, share_high=0.09, share_tests=64,
    )  # fmt: skip
    unseen = PromiseTest(
        subject=names.MODEL, signal=names.ACCURACY, limit=0.9, broken=None, log10_e=0.0,
        since=None, tests=0,
    )  # fmt: skip
    return broken, unseen


def test_a_broken_promise_shows_its_evidence_and_level_and_one_not_counted_says_so(
    site: Any, open_page: Callable[..., Any]
) -> None:
    page = open_page()
    assert page.locator("#tested").is_hidden(), "nothing is counted, and no panel says so"

    def put() -> None:
        seen = site.view.deployment("credit")
        seen.evidence = replace(seen.evidence, promises=promises(TimeNs(site.clock())))

    site.call(put)
    page = open_page()
    page.wait_for_selector("#tested:not([hidden])")
    broken, unseen = page.locator("#tested-list li").all_inner_texts()
    assert "broken" in broken
    assert "10^6.8 to 1" in broken
    assert "4.0 % to 9.0 %" in broken
    assert "over 64 ticks" in broken
    assert "not counted now" in unseen
    assert "%)" not in unseen.split("promised")[1], "no interval for no number"
