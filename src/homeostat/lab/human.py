"""The human model: how long a paged person takes, drawn once per episode.

Pre-registered delays, the same for every policy and page of an episode (common random numbers):
an acknowledgement, then diagnosis and repair, both lognormal, the latter with a median that
depends on the family of the fault. Detection (a threshold crossed for five minutes) is the
caller's: `alarm_s` is when the page goes out. A page with nothing behind it costs what a real one
of that family costs: somebody still has to find out. It says nothing about whether a person does
the right thing.
"""

import hashlib
import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from homeostat.lab.thresholds import FROZEN, Thresholds
from homeostat.lab.types import FAMILIES, Episode

DETECTION_S: Final = FROZEN.human_detect_s


class Response(NamedTuple):
    """What comes of one page.

    Attributes:
        ack_s: When the person begins, in seconds since the episode began.
        fixed_s: When the person is done and the causes are removed; may lie past the end.
        minutes: Of the person's time, from beginning to end.
    """

    ack_s: float
    fixed_s: float
    minutes: float


def respond(
    episode: Episode,
    alarm_s: float,
    *,
    scale: float = 1.0,
    thresholds: Thresholds = FROZEN,
) -> Response:
    """Return what a person does who is paged in an episode.

    Args:
        episode: Its scenario, seed and family choose the draw.
        alarm_s: When the page goes out, seconds since the episode began; not finite = never.
        scale: Multiplies every delay; 0.5 and 2 in the sensitivity table.
        thresholds: Medians and sigma.

    Returns:
        Infinite times and no minutes when there is no page.

    Raises:
        ValueError: The family is unknown, or the scale is not positive.
    """
    if not scale > 0.0:
        raise ValueError(f"need a positive scale, got {scale}")
    if not math.isfinite(alarm_s):
        return Response(ack_s=math.inf, fixed_s=math.inf, minutes=0.0)
    ack_z, fix_z = _normals(episode)
    spread = thresholds.human_sigma
    ack_min = scale * thresholds.human_ack_min * math.exp(spread * ack_z)
    minutes = scale * _median_min(episode.family, thresholds) * math.exp(spread * fix_z)
    ack_s = alarm_s + 60.0 * ack_min
    return Response(ack_s=ack_s, fixed_s=ack_s + 60.0 * minutes, minutes=minutes)


def responses(
    episode: Episode,
    paged_s: Sequence[float],
    *,
    scale: float = 1.0,
    thresholds: Thresholds = FROZEN,
) -> tuple[Response, ...]:
    """Return one response per separate page; whoever is at it is not paged again.

    Args:
        episode: As in `respond`.
        paged_s: Times at which somebody was told, ascending.
        scale: As in `respond`.
        thresholds: As in `respond`.
    """
    out: list[Response] = []
    for at in paged_s:
        if out and at < out[-1].fixed_s:
            continue
        out.append(respond(episode, at, scale=scale, thresholds=thresholds))
    return tuple(out)


def held_for(crossed: npt.NDArray[np.bool_], decisions: int) -> npt.NDArray[np.bool_]:
    """Return where a condition has held for so many decisions in a row.

    Args:
        crossed: [N, D].
        decisions: At least 1; five minutes are 20 scrapes of 15 s.
    """
    index = np.arange(crossed.shape[1])
    last_false = np.maximum.accumulate(np.where(crossed, -1, index), axis=1)
    return np.asarray(index - last_false >= decisions)


def _median_min(family: str, thresholds: Thresholds) -> float:
    if family not in FAMILIES:
        raise ValueError(f"{family!r} is no family; known are {', '.join(FAMILIES)}")
    return float(getattr(thresholds, f"human_{family}_min"))


def _normals(episode: Episode) -> tuple[float, float]:
    """Return two standard normals that depend on the episode alone."""
    name = f"human/{episode.scenario}/{episode.seed}"
    word = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    first, second = np.random.default_rng(word).standard_normal(2)
    return float(first), float(second)
