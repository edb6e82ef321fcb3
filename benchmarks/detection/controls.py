"""Checks without which no figure means anything.

Degenerate detectors (always on, by chance, every 200 rows, 200 rows after what they should have
told of) must score next to nothing by the same judge; what is said of a file's first rows must be
what is said of them in the whole file; and another unit, another year or a neighbour must not
change what is said. A shift, and a unit that is no power of two, round values anew, so they may
move a score by a little, but no alarm. Names are checked where something sees them, in the command
(`detection.controls_command`).
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from detection import judging, playing, sets
from detection.sets import Recording, beginning, made

CHECKED: Final = (
    "artificialNoAnomaly/art_daily_small_noise.csv",
    "artificialWithAnomaly/art_daily_jumpsup.csv",
    "realAWSCloudwatch/ec2_disk_write_bytes_1ef3de.csv",
    "realAWSCloudwatch/ec2_network_in_5abac7.csv",
    "realAdExchange/exchange-3_cpc_results.csv",
    "realKnownCause/ec2_request_latency_system_failure.csv",
    "realKnownCause/rogue_agent_key_hold.csv",
    "realTraffic/TravelTime_451.csv",
    "realTraffic/speed_7578.csv",
    "realTweets/Twitter_volume_AAPL.csv",
)
"""Files that are played by the checks: of each folder, with rows missing, clocks that go back, and
rows at odd times. None is without any noise: what is left of those is rounding, in any unit
another."""
# Rows that the checks of invariance play: several seasons of most recordings.
_TICKS = 4000
LATER_S: Final = 400.0 * 86_400.0
"""Another year, another day of the week."""
UNIT: Final = 3.7
CHANCE: Final = "by chance"
"""The one of `degenerate` that has no line of its own."""
_LAG = 200


def degenerate(recordings: Sequence[Recording]) -> dict[str, list[Any]]:
    """Return the scores of detectors that know nothing, or too late; one list for each."""
    draw = np.random.default_rng(0)
    rows = [len(one.rows) for one in recordings]
    return {
        "always on": [np.ones(count) for count in rows],
        CHANCE: [draw.random(count) for count in rows],
        "every 200 rows": [(np.arange(count) % 200 == 0) * 1.0 for count in rows],
        "200 rows late": lagged(recordings),
    }


def lagged(recordings: Sequence[Recording]) -> list[Any]:
    """Return the scores of who is told the labels, and says so 200 rows after each has ended.

    Where that is within another labelled stretch nothing is said: it would be found by chance.
    """
    out = []
    for one, labelled in zip(recordings, judging.ranges(recordings), strict=True):
        score, ill = np.zeros(len(one.rows)), np.zeros(len(one.rows), dtype=bool)
        for first, last in labelled:
            ill[first : last + 1] = True
        late = [last + _LAG for _, last in labelled if last + _LAG < len(score)]
        score[np.array(late, dtype=int)] = 1.0
        out.append(np.where(ill, 0.0, score))
    return out


def checked(*, sample: bool = False) -> list[Recording]:
    """Return the recordings on which the checks are made; few of them for a sample.

    Raises:
        FileNotFoundError: The set is not there.
    """
    root = sets.data_root("nab")
    names = CHECKED[4:9:2] if sample else CHECKED
    return [sets.nab_file(root / "data" / name) for name in names]


def clocks(recordings: Sequence[Recording]) -> str:
    """Return in words how many recordings have gaps, clocks that go back, and odd times."""
    steps = [np.diff(one.read.times) for one in recordings if one.read.times is not None]
    gaps = sum(len(one.values) > len(one.read.values) for one in recordings)
    back = sum(bool((step <= 0.0).any()) for step in steps)
    odd = sum(bool((step != np.median(step)).mean() > 0.2) for step in steps)
    return (
        f"{len(recordings)} files: {gaps} with rows missing, {back} whose clock goes back or "
        f"stands, {odd} of whose steps a fifth or more are odd"
    )


def invariances(recordings: Sequence[Recording], *, ticks: int = _TICKS) -> dict[str, bool]:
    """Return what holds of the shipped stack on the first `ticks` rows of recordings."""
    some = [beginning(one, ticks) for one in recordings]
    whole = playing.played(some)
    prefix = playing.played([beginning(one, len(one.read.values) * 2 // 3) for one in some])
    turned = playing.played(some[::-1])[::-1]
    alone = playing.played(some[:1])
    scaled = playing.played([_moved(one, times=4.0) for one in some])
    odd_unit = playing.played([_moved(one, times=UNIT) for one in some])
    shifted = playing.played([_moved(one, plus=_reach(one)) for one in some])
    later = playing.played([_moved(one, later_s=LATER_S) for one in some])
    return {
        "a prefix is judged as in the whole": all(
            np.array_equal(part.score, full.score[: len(part.score)])
            for part, full in zip(prefix, whole, strict=True)
        ),
        "the order of files changes nothing": _same(turned, whole),
        "a file alone is judged as among others": _same(alone, whole[:1]),
        "a unit four times as large changes nothing": _same(scaled, whole),
        f"a unit {UNIT:g} times as large moves no alarm": _alike(odd_unit, whole),
        "a shift moves no alarm": _alike(shifted, whole),
        "another year changes nothing": _same(later, whole),
    }


def _alike(one: Sequence[playing.Said], other: Sequence[playing.Said]) -> bool:
    return all(np.array_equal(a.alarm, b.alarm) for a, b in zip(one, other, strict=True))


def _same(one: Sequence[playing.Said], other: Sequence[playing.Said]) -> bool:
    return all(np.array_equal(a.score, b.score) for a, b in zip(one, other, strict=True))


def _moved(
    one: Recording, *, times: float = 1.0, plus: float = 0.0, later_s: float = 0.0
) -> Recording:
    """Return the recording in another unit, or of another time."""
    read = one.read
    stamps = None if read.times is None else read.times + later_s
    return made(one.name, read._replace(times=stamps, values=read.values * times + plus))


def _reach(one: Recording) -> float:
    """Return a shift as far as the recording reaches, of few digits so that little is rounded."""
    reach = float(np.nanmax(np.abs(one.values))) or 1.0
    return float(2.0 ** np.ceil(np.log2(reach)))
