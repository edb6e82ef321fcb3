"""Tests of histograms as plain values: what moved, by what evidence, and by how much."""

from typing import Any

from homeostat.base.drift import DriftTest
from homeostat.server.view_series import plain_number


def drift(value: DriftTest) -> dict[str, Any]:
    """Return what speaks against one histogram's being as it was; what is not known is null."""
    return {
        "subject": value.subject,
        "kind": value.kind,
        "name": value.name,
        "moved": value.moved,
        "why": value.why,
        "against": value.against,
        "log10_e": plain_number(value.log10_e),
        "all_log10_e": plain_number(value.all_log10_e),
        "among": value.among,
        "total_variation": plain_number(value.total_variation),
        "psi": plain_number(value.psi),
        "psi_by_chance": plain_number(value.psi_by_chance),
        "gap": plain_number(value.gap),
        "gap_neg_log10_p": plain_number(value.gap_neg_log10_p),
        "events": plain_number(value.events),
        "reference": plain_number(value.reference),
        "bound": plain_number(value.bound),
        "share": plain_number(value.share),
        "share_low": plain_number(value.share_low),
        "share_high": plain_number(value.share_high),
        "looks": value.looks,
    }
