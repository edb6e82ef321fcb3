"""Tests of histograms as they are shown: as the contract says, and unknown as null."""

from dataclasses import replace

from homeostat.base.drift import DriftTest
from homeostat.server.api.then import DriftOut, ThenOut
from homeostat.server.view_drift import drift
from homeostat.server.view_then import then
from homeostat.testing import build

FEW = DriftTest(
    subject="pool:a", kind="prediction", name="", moved=None, why="few", against="v2",
    log10_e=0.1, all_log10_e=0.1, among=1, events=12.0,
)  # fmt: skip
MOVED = replace(
    FEW, moved=True, why="", log10_e=6.0, all_log10_e=6.0, total_variation=0.2, psi=0.3,
    psi_by_chance=0.01, gap=0.15, gap_neg_log10_p=9.0, events=800.0, reference=4000.0, bound=0.5,
    share=0.6, share_low=0.4, share_high=0.5, looks=12,
)  # fmt: skip


def test_a_test_is_shown_as_the_contract_says_and_what_is_unknown_is_null() -> None:
    out = DriftOut.model_validate(drift(MOVED))
    assert (out.psi, out.gap, out.events, out.reference) == (0.3, 0.15, 800.0, 4000.0)
    assert (out.share_low, out.share, out.share_high, out.looks) == (0.4, 0.6, 0.5, 12)
    few = DriftOut.model_validate(drift(FEW))
    assert (few.moved, few.why, few.log10_e) == (None, "few", 0.1)
    assert (few.psi, few.gap, few.total_variation, few.share_low) == (None,) * 4


def test_what_was_known_at_a_decision_keeps_it() -> None:
    known = then(build.evidence(drifts=(MOVED, FEW)))
    assert [one.moved for one in ThenOut.model_validate(known).drifts] == [True, None]
