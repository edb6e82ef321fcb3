"""From a scenario and a seed to an episode: the same pair, the same episode, on every machine.

Chance comes from `SeedSequence` over the scenario's id and the seed, one stream for each part
(parameters, deployment, onset, every fault), so that a change to one part moves no other. What a
fault comes to is in `draw_faults`; what a deployment comes to in `deployment_build`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

import jax
import numpy as np

from homeostat.lab.ambient import AMBIENT
from homeostat.lab.chance import stream, value
from homeostat.lab.demand import knots
from homeostat.lab.deployment_build import Built, build, to_params
from homeostat.lab.deployments import DEFAULTS
from homeostat.lab.draw_faults import Start, to_faults
from homeostat.lab.scenario import Scenario, fixed
from homeostat.lab.scenario_errors import DrawError
from homeostat.lab.scenario_room import slots_for, tick_s_for
from homeostat.lab.traces import Recorded
from homeostat.lab.types import Episode
from homeostat.twin.faults import Faults
from homeostat.twin.params import Params
from homeostat.twin.shapes import FAULTS, LOAD_KNOTS, SLOT_COUNTS

__all__ = ["batch", "draw", "draw_together", "room_for", "rows_of", "slots_for", "tick_s_for"]

_Tree = TypeVar("_Tree", Params, Faults)
_HALF: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """Scenarios that happen to one deployment, added one by one: each is drawn once.

    Attributes:
        scenarios: In the order in which they were added.
        numbers: Of their deployment.
        taken: The numbers that one of them sets itself.
    """

    scenarios: tuple[Scenario, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)
    taken: frozenset[str] = frozenset()

    def beside(self, scenario: Scenario, seed: int) -> "Together":
        """Return these and one more: it sets what none before it has set."""
        numbers = _numbers(scenario, seed, _params(scenario, seed))
        own = {AMBIENT[fault.primitive] for fault in scenario.faults if fault.ambient}
        own |= set(scenario.deployment)
        more = {key: numbers[key] for key in sorted(own - self.taken)}
        return Together(
            scenarios=(*self.scenarios, scenario),
            numbers={**self.numbers, **more} if self.scenarios else numbers,
            taken=self.taken | own,
        )

    def slots(self) -> int:
        """Return the slots that they need; see `room_for`."""
        merged = {key: fixed(number) for key, number in self.numbers.items()}
        whole = replace(self.scenarios[0], deployment=merged, faults=())
        return max(slots_for(one) for one in (whole, *self.scenarios))


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
    load = knots(scenario, params, built, stream(scenario.id, seed, "load"), recorded or {})
    faults = _faults(scenario, seed, built, slots)
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


def draw_together(
    incidents: Sequence[tuple[Scenario, int]], *, slots: int | None = None
) -> Episode:
    """Return one episode in which several scenarios happen to one deployment.

    The deployment and its load are the first one's; numbers that only a later one sets are taken
    over, in their order, so that its trouble can arise. Each has its own onset, its own chance and
    its own choice of whom it hits, and all of it is worked out for the one deployment: a limit of
    half of the requests in flight is half of those that this one has.

    Args:
        incidents: Scenarios with their seeds, at least one. One alone is `draw` of it.
        slots: See `draw`; None = `room_for` them.

    Raises:
        DrawError: There is none, the slots do not hold the deployment, or together they have more
            faults than an episode holds.
    """
    if not incidents:
        raise DrawError("no incidents to draw; give at least one")
    first, seed = incidents[0]
    slots = room_for(incidents) if slots is None else slots
    episode = draw(first, seed, slots=slots)
    if len(incidents) == 1:
        return episode
    built = build(_merged(incidents))
    params = _params(first, seed)
    load = knots(first, params, built, stream(first.id, seed, "load"), {})
    parts = [_faults(scenario, of, built, slots) for scenario, of in incidents]
    faults = _side_by_side(parts)
    return replace(
        episode,
        onset_s=float(np.min(faults.start_s)),
        recoverable=all(_recoverable(one, _params(one, of)) for one, of in incidents),
        params=to_params(built, load, first.length_s / (LOAD_KNOTS - 1), slots),
        faults=faults,
        drawn=params | {f"deployment.{key}": number for key, number in _facts(built).items()},
    )


def room_for(incidents: Sequence[tuple[Scenario, int]]) -> int:
    """Return the slots for several scenarios that happen to one deployment.

    Raises:
        DrawError: There are not so many.
    """
    return _together(incidents).slots()


def rows_of(scenario: Scenario) -> int:
    """Return how many of an episode's fault instances a scenario takes."""
    return sum(not fault.ambient for fault in scenario.faults)


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


def _merged(incidents: Sequence[tuple[Scenario, int]]) -> dict[str, float]:
    """Return the numbers of the deployment that several scenarios happen to."""
    return dict(_together(incidents).numbers)


def _together(incidents: Sequence[tuple[Scenario, int]]) -> Together:
    found = Together()
    for scenario, seed in incidents:
        found = found.beside(scenario, seed)
    return found


def _faults(scenario: Scenario, seed: int, built: Built, slots: int) -> Faults:
    """Return a scenario's fault instances for a deployment."""
    params = _params(scenario, seed)
    start = Start.of(scenario, params, stream(scenario.id, seed, "onset"))
    streams = [stream(scenario.id, seed, f"fault {i}") for i in range(len(scenario.faults))]
    return to_faults(scenario, params, built, start, streams, slots)


def _side_by_side(parts: Sequence[Faults]) -> Faults:
    """Return the fault instances of several as one value, the soonest first.

    Raises:
        DrawError: An episode does not hold so many.
    """
    stacked = jax.tree.map(lambda *rows: np.concatenate([np.asarray(x) for x in rows]), *parts)
    order = np.argsort(np.asarray(stacked.start_s), kind="stable")
    used = int(np.isfinite(np.asarray(stacked.start_s)).sum())
    if used > FAULTS:
        raise DrawError(f"{used} faults together; an episode holds {FAULTS}. Leave one out")
    kept: Faults = jax.tree.map(lambda rows: rows[order[:FAULTS]], stacked)
    return kept


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
