"""Every histogram method that is found keeps its promises; the kit sees those that do not."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from typing_extensions import override

from homeostat import plugins
from homeostat.base.evidence import Quality, Verdict
from homeostat.detect.drift import Drift
from homeostat.detect.drift_said import Family, Page
from homeostat.testing import histogram as kit

NAMES = sorted(plugins.parts("histogram"))


def test_the_histogram_methods_of_this_house_are_found() -> None:
    assert NAMES == ["drift"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_histogram_method_conforms(name: str) -> None:
    part = plugins.part("histogram", name)
    kit.check_histogram(name, lambda: part.build(part.config()))


class Wrong(Drift):
    """A share test that breaks one promise."""

    def __init__(self, broken: str) -> None:
        super().__init__()
        self.broken, self.count = broken, 0

    @override
    def step(
        self,
        state: Any,
        pages: Sequence[Page],
        learning: bool,
        earlier: Mapping[tuple[str, str], Sequence[str]] | None = None,
    ) -> tuple[Any, tuple[Family, ...]]:
        """Break it."""
        self.count += 1
        given = [self._page(page, pages) for page in pages]
        after, said = super().step(state, given, learning, earlier)
        if self.broken == "state":
            state.update(after)
        return after, tuple(self._said(one) for one in said)

    def _page(self, page: Any, pages: Sequence[Page]) -> Any:
        counts = page.counts
        if self.broken == "neighbours":
            counts = counts + (len(pages) > 1)
        if self.broken == "names":
            counts = counts + (page.deployment < "b")
        if self.broken == "ends" and len(counts) == len(page.bounds):
            counts = counts * np.arange(1.0, 1.0 + len(counts))
        if self.broken == "guess" and page.quality is not Quality.GOOD:
            return replace(page, counts=np.full(len(counts), 30.0), quality=Quality.GOOD)
        return replace(page, counts=counts)

    def _said(self, family: Family) -> Family:
        (one,) = family.judged
        if self.broken == "memory" and one.log10_e is not None:
            one = replace(one, log10_e=one.log10_e + self.count % 977)
        if self.broken == "zero" and one.total_variation is None:
            one = replace(one, total_variation=0.0, psi=0.0, gap=0.0)
        if self.broken == "early" and one.quality is Quality.FEW and self.count <= 12:
            few = replace(one, verdict=Verdict.HEALTHY, quality=Quality.GOOD)
            one = replace(few, total_variation=0.1, events=1.0)
        if self.broken == "mute" and one.verdict is Verdict.ANOMALOUS:
            one = replace(one, verdict=Verdict.HEALTHY)
        if self.broken == "loud" and self.count % 120 == 0 and one.psi is not None:
            one = replace(one, verdict=Verdict.ANOMALOUS)
        if self.broken == "absurd" and one.psi is not None:
            one = replace(one, total_variation=1.5)
        return replace(family, judged=(one,))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("broken", "check"),
    [
        ("zero", "check_it_says_all_there_is"),
        ("absurd", "check_it_says_all_there_is"),
        ("state", "check_nothing_given_is_changed"),
        ("memory", "check_state_can_be_kept"),
        ("neighbours", "check_deployments_are_apart"),
        ("names", "check_names_mean_nothing"),
        ("ends", "check_bins_are_read_from_either_end"),
        ("guess", "check_what_cannot_be_is_unknown"),
        ("early", "check_few_events_are_unknown"),
        ("loud", "check_what_stays_is_healthy"),
        ("mute", "check_what_moved_is_found_and_sized"),
    ],
)
def test_a_histogram_method_that_breaks_a_promise_is_named_with_it(broken: str, check: str) -> None:
    with pytest.raises(AssertionError, match=check):
        kit.check_histogram(broken, lambda: Wrong(broken))
