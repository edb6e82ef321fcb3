"""Organic load of an episode: the knots between which the twin interpolates.

Flat and diurnal loads begin at the deployment's utilisation; a recorded load meets it in the mean,
or stays below it where its peaks would break the promise before any fault, unless they are to be
kept. What faults do to load comes on top, in the twin.
"""

import math
from collections.abc import Mapping

import numpy as np

from homeostat.lab.chance import value
from homeostat.lab.deployment_build import Built, rounded
from homeostat.lab.scenario import Peaks, Profile, Scenario, fixed
from homeostat.lab.scenario_errors import DrawError, close_to
from homeostat.lab.traces import Recorded, replay
from homeostat.twin.shapes import LOAD_KNOTS


def knots(
    scenario: Scenario,
    params: Mapping[str, float],
    built: Built,
    chance: np.random.Generator,
    recorded: Mapping[str, Recorded],
) -> np.ndarray:
    """Return organic load at equally spaced times over the episode, 1/s [LOAD_KNOTS].

    Args:
        scenario: Whose load and length.
        params: Its drawn parameters.
        built: The deployment.
        chance: A stream of its own.
        recorded: Recorded loads by name.

    Raises:
        DrawError: A recorded load is not there, or too short.
    """
    load = scenario.load
    ratio = value(load.peak_ratio or fixed(1.0), params, chance)
    period_s = value(load.period_s or fixed(1.0), params, chance)
    compress = value(load.compress or fixed(1.0), params, chance)
    where = float(chance.random())
    if load.profile is Profile.TRACE:
        if load.trace not in recorded:
            known = close_to(load.trace, recorded) if recorded else "none was given"
            raise DrawError(
                f"{scenario.id}: recorded load {load.trace!r} is not there ({known}); "
                "give its file along with the scenario"
            )
        rates = replay(
            recorded[load.trace],
            length_s=scenario.length_s,
            mean_rps=built.demand_rps,
            compress=compress,
            where=where,
        )
        return _within(rates, built.room_rps) if load.peaks is Peaks.FIT else rates
    at_s = np.linspace(0.0, scenario.length_s, LOAD_KNOTS)
    if load.profile is Profile.FLAT:
        swing = np.zeros(LOAD_KNOTS)
    else:
        swing = (1 - np.cos(2 * math.pi * at_s / period_s)) / 2
    rates = built.demand_rps * (1 + (ratio - 1) * swing)
    return np.asarray([rounded(float(rate)) for rate in rates], np.float32)


def _within(rates: np.ndarray, room_rps: float) -> np.ndarray:
    """Return a load of the same form whose highest knot is no more than the room."""
    scale = min(1.0, room_rps / float(rates.max()))
    return np.asarray([rounded(float(rate) * scale) for rate in rates], np.float32)
