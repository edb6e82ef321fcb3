"""Tests of objectives as they are shown: as the contract says, and unknown as null."""

from dataclasses import replace

from homeostat.base import names
from homeostat.base.events import Started
from homeostat.base.promise import PromiseTest
from homeostat.base.units import SECOND, TimeNs
from homeostat.server.api.answers import DetailOut
from homeostat.server.api.then import PromiseOut
from homeostat.server.view import View
from homeostat.server.view_health import promise
from homeostat.server.view_plain import detail
from homeostat.testing import build

TESTED = PromiseTest(
    subject=names.MODEL, signal=names.ACCURACY, limit=0.9, broken=None, log10_e=2.0,
    since=TimeNs(7 * SECOND), tests=40, share_low=0.1, share_high=0.3, share_tests=12,
)  # fmt: skip


def test_a_test_is_shown_with_its_level_as_the_contract_says() -> None:
    shown = promise(TESTED)
    out = PromiseOut.model_validate(shown)
    assert (out.share_low, out.share_high, out.share_tests) == (0.1, 0.3, 12)
    assert (out.broken, out.since) == (None, 7.0)
    assert promise(replace(TESTED, since=None, broken=True))["since"] is None


def test_a_deployment_that_nobody_has_seen_shows_no_test() -> None:
    view = View()
    view.event(Started(at=build.START, epoch=1, managed=build.managed()))
    (state,) = view.deployments()
    found = detail(state, build.START, recent=1)
    assert found["promises"] == []
    DetailOut.model_validate({**found, "cursor": "1", "now": 1.0, "kill": "off"})
