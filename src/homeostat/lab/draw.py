"""From a scenario and a seed to an episode: the same pair, the same episode, on every machine.

Chance comes from `SeedSequence` over the scenario's id and the seed, one stream for each part
(parameters, deployment, onset, every fault), so that a change to one part moves no other. What a
fault comes to is in `draw_faults`; what a deployment comes to in `deployment_build`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

import jax
import numpy as np

from homeostat.lab.ambient import AMBIENT
from homeostat.lab.chance import stream, value
from homeostat.lab.demand import knots
from homeostat.lab.deployment_build import Built, build, to_params
from homeostat.lab.deployments import DEFAULTS
from homeostat.lab.draw_faults import Start, to_faults
from homeostat.lab.scenario import Scenario
from homeostat.lab.scenario_errors import DrawError
from homeostat.lab.scenario_room import slots_for, tick_s_for
from homeostat.lab.traces import Recorded
from homeostat.lab.types import Episode
from homeostat.twin.faults import Faults
from homeostat.twin.params import Params
from homeostat.twin.shapes import LOAD_KNOTS, SLOT_COUNTS

__all__ = ["batch", "draw", "slots_for", "tick_s_for"]

_Tree = TypeVar("_Tree", Params, Faults)
_HALF: Final = 0.5


def draw(
    scenario: Scenario,
    seed: int,
    *,
    slots: int | None = None,
    recorded: Mapping[str, Recorded] | None = None,
) -> Episode:
    """Return the episode that a scenario and a seed come to.

    Args:
        scenario: What happens.
        seed: Of this draw, at least 0.
        slots: Replica slots, one of `SLOT_COUNTS`; None = the fewest that hold every draw of the
            scenario. The deployment and its faults do not depend on it, but for quotas that it
            cuts.
        recorded: Recorded loads by name, for scenarios that replay one.

    Raises:
        DrawError: The slots do not hold the deployment, or a recorded load is not there.
    """
    if seed < 0:
        raise DrawError(f"seed {seed} is negative; use 0 or more")
    slots = slots_for(scenario) if slots is None else slots
    if slots not in SLOT_COUNTS:
        raise DrawError(f"{slots} slots; the twin is compiled for {SLOT_COUNTS}")
    params = _params(scenario, seed)
    built = build(_numbers(scenario, seed, params))
    start = Start.of(scenario, params, stream(scenario.id, seed, "onset"))
    load = knots(scenario, params, built, stream(scenario.id, seed, "load"), recorded or {})
    streams = [stream(scenario.id, seed, f"fault {i}") for i in range(len(scenario.faults))]
    faults = to_faults(scenario, params, built, start, streams, slots)
    spacing_s = scenario.length_s / (LOAD_KNOTS - 1)
    return Episode(
        scenario=scenario.id,
        seed=seed,
        family=scenario.family,
        length_s=scenario.length_s,
        onset_s=math.inf if scenario.benign else float(np.min(faults.start_s)),
        recoverable=_recoverable(scenario, params),
        benign=scenario.benign,
        slots=slots,
        tick_s=tick_s_for(scenario),
        params=to_params(built, load, spacing_s, slots),
        faults=faults,
        drawn=params | {f"deployment.{key}": value for key, value in _facts(built).items()},
    )


def batch(episodes: Sequence[Episode]) -> tuple[Params, Faults]:
    """Return the episodes' parameters and faults, stacked along a new first axis.

    Args:
        episodes: At least one; slots may differ.

    Returns:
        Parameters [N, ...] and faults [N, F, ...] with slots padded to the most there are;
        padded slots are hit by no fault that names its slots, and by every one that hits all.

    Raises:
        DrawError: There is no episode.
    """
    if not episodes:
        raise DrawError("no episodes to batch; draw at least one")
    slots = max(episode.slots for episode in episodes)
    params = _stack([episode.params for episode in episodes])
    faults = _stack([_padded(episode.faults, slots) for episode in episodes])
    return params, faults


def _params(scenario: Scenario, seed: int) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, given in scenario.params.items():
        found[name] = value(given, {}, stream(scenario.id, seed, f"params {name}"))
    return found


def _numbers(scenario: Scenario, seed: int, params: Mapping[str, float]) -> dict[str, float]:
    """Return the deployment's numbers: drawn, overridden, and set by ambient faults."""
    chance = stream(scenario.id, seed, "deployment")
    found: dict[str, float] = {}
    for key, setting in DEFAULTS.items():
        found[key] = value(scenario.deployment.get(key, setting.usual), params, chance)
    for fault in scenario.faults:
        if fault.ambient:
            part = stream(scenario.id, seed, f"ambient {fault.primitive}")
            found[AMBIENT[fault.primitive]] = value(fault.magnitude, params, part)
    for key, setting in DEFAULTS.items():
        cut = min(max(found[key], setting.low), setting.high)
        found[key] = float(round(cut)) if setting.whole else cut
    return found


def _recoverable(scenario: Scenario, params: Mapping[str, float]) -> bool:
    said = scenario.recoverable
    return params[said] >= _HALF if isinstance(said, str) else said


def _facts(built: Built) -> dict[str, float]:
    return {
        "replicas_a": float(built.a),
        "replicas_b": float(built.b),
        "demand_rps": built.demand_rps,
        "base_rho": built.numbers["base_rho"],
    }


def _padded(faults: Faults, slots: int) -> Faults:
    have = faults.slots.shape[-1]
    if have == slots:
        return faults
    every = np.all(faults.slots, axis=-1, keepdims=True)
    more = np.broadcast_to(every, (*faults.slots.shape[:-1], slots - have))
    fields = {name: getattr(faults, name) for name in faults.__dataclass_fields__}
    return Faults(**(fields | {"slots": np.concatenate([faults.slots, more], axis=-1)}))


def _stack(trees: list[_Tree]) -> _Tree:
    stacked: _Tree = jax.tree.map(lambda *leaves: np.stack(leaves), *trees)
    return stacked
