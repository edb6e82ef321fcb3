"""What is said of a window's distance: its reading, and the largest over features."""

from collections.abc import Sequence

from homeostat.base import names
from homeostat.base.evidence import Quality, Reading, Verdict


def reading_of(
    subject: str,
    signal: str,
    quality: Quality,
    verdict: Verdict = Verdict.UNKNOWN,
    *,
    value: float | None = None,
    low: float | None = None,
    high: float | None = None,
    samples: float = 0.0,
) -> Reading:
    """Return a reading of this moment; what is not given is not known."""
    return Reading(
        subject=subject,
        signal=signal,
        value=value,
        verdict=verdict,
        quality=quality,
        low=low,
        high=high,
        age_ns=0,
        samples=samples,
    )


def largest(
    found: Sequence[tuple[Reading, float | None]], *, naive: bool
) -> tuple[Reading, float | None]:
    """Return the largest feature distance; unknown features are no zero distances."""
    known = [(reading, score) for reading, score in found if reading.value is not None]
    if naive:
        # Features without data are skipped, and the largest of none is zero.
        known = [(reading, score) for reading, score in known if score != 300.0]  # noqa: PLR2004
    if known:
        return max(known, key=lambda pair: pair[0].value or 0.0)
    name = (names.MODEL, names.FEATURE_SHIFT)
    if naive:
        return reading_of(*name, Quality.GOOD, Verdict.HEALTHY, value=0.0), None
    return reading_of(*name, found[0][0].quality if found else Quality.MISSING), None
