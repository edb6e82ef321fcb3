"""The twin's half of the comparison: one scenario, played on the local deployment's description.

Runs in a process of its own: it imports JAX, which must not be in a process that starts others.
"""

from collections.abc import Sequence

import numpy as np

from homeostat.demo import live_settings, load_client
from homeostat.demo.live_plan import Bound, Plan, Prediction, way_of
from homeostat.lab import live_play
from homeostat.lab.scenario import Scenario
from homeostat.lab.types import Episode


def predict(job: tuple[Scenario, Sequence[int]]) -> Prediction:
    """Return the twin's prediction for one checked scenario and some seeds."""
    scenario, seeds = job
    deployment = described()
    return Prediction(
        predicted=live_play.play(scenario, seeds, deployment),
        plans=plans(scenario, seeds, deployment),
        bound=Bound.of(deployment.entry.objective),
    )


def described() -> live_play.Deployment:
    """Return the local deployment as the twin needs it."""
    return live_play.Deployment(
        numbers=live_settings.numbers(),
        shares=live_settings.shares(),
        retry_share=load_client.RETRY_SHARE,
        retry_burst=load_client.RETRY_BURST,
        entry=live_settings.managed(),
    )


def plans(
    scenario: Scenario, seeds: Sequence[int], deployment: live_play.Deployment
) -> tuple[Plan, ...]:
    """Return what the same draws come to for real processes."""
    episodes = live_play.drawn(scenario, seeds, deployment)
    return tuple(_plan(scenario, episode) for episode in episodes)


def _plan(scenario: Scenario, episode: Episode) -> Plan:
    way, faults = way_of(scenario), episode.faults
    start_s, stop_s = float(faults.start_s[0]), float(faults.stop_s[0])
    # Slots of the twin are in the order of the pool's own: a-1 is the first.
    hit = np.flatnonzero(np.asarray(faults.slots[0]))
    return Plan(
        fault=way.fault,
        seed=episode.seed,
        onset_s=start_s,
        magnitude=float(f"{float(faults.magnitude[0]):.6g}"),
        lasts_s=stop_s - start_s if np.isfinite(stop_s) else None,
        victim=f"{live_settings.STABLE}-{int(hit[0]) + 1}" if way.replica else "",
    )
