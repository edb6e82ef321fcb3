"""Chance in the lab: streams that are the same on every machine, and numbers drawn from them.

A stream belongs to one part of one draw (scenario, seed, part), so that a change to one part moves
no other. Only uniform numbers are taken from it, and what is computed of them is rounded to six
significant digits: libraries and processors differ beyond.
"""

import hashlib
import math
from collections.abc import Mapping

import numpy as np

from homeostat.lab.deployment_build import rounded
from homeostat.lab.scenario import Choice, Param, Range, Spec


def stream(scenario_id: str, seed: int, part: str) -> np.random.Generator:
    """Return the stream of chance for one part of one draw."""
    digest = hashlib.sha256(f"{scenario_id}\n{part}".encode()).digest()
    words = np.frombuffer(digest[:16], "<u4")
    return np.random.default_rng(np.random.SeedSequence([*(int(word) for word in words), seed]))


def value(given: Spec, params: Mapping[str, float], chance: np.random.Generator) -> float:
    """Return a number drawn as specified, to six significant digits; it always takes one draw."""
    u = float(chance.random())
    if isinstance(given, Param):
        return params[given.name]
    if isinstance(given, Choice):
        return given.options[int(u * len(given.options))]
    return _between(given, u)


def _between(given: Range, u: float) -> float:
    low, high = given.low, given.high
    if low == high:
        return low
    if given.whole:
        return low + math.floor(u * (high - low + 1))
    found = low * (high / low) ** u if given.log else low + (high - low) * u
    return min(max(rounded(found), low), high)
