"""A fault of a real local deployment, played in the twin: by holding, and by the real controller.

The deployment's numbers, traffic shares and configuration are given by whoever runs the real one;
they replace what a scenario draws. The twin's clock is slowed down so that one of its scrapes is
one of the deployment's (see `stretch`). The controller is the lab's policy `homeostat` with that
deployment's own guard policy and objectives, and nobody who is told comes to help.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import equinox as eqx
import numpy as np
import numpy.typing as npt
from typing_extensions import override

from homeostat.base import names
from homeostat.base.policy import Managed
from homeostat.base.units import SECOND
from homeostat.base.world import Release
from homeostat.lab.baselines.hold import Hold
from homeostat.lab.controller import Controller, Mind
from homeostat.lab.controller_names import POOLS, time_ns
from homeostat.lab.controller_parts import loop_parts
from homeostat.lab.controller_platform import Platform
from homeostat.lab.controller_runtime import Runtime
from homeostat.lab.deployment_build import array
from homeostat.lab.draw import draw
from homeostat.lab.live_effects import Floats, Predicted, Seconds
from homeostat.lab.scenario import Scenario, fixed
from homeostat.lab.stretch import stretched, stretched_entry
from homeostat.lab.types import Episode, Move
from homeostat.lab.world import Played, World, compiled
from homeostat.twin.outputs import Scrape
from homeostat.twin.primitives import INDEX, PRIMITIVES
from homeostat.twin.shapes import SCRAPE_S, Cure, Variant
from homeostat.twin.signals import SLOT_SIGNALS

_HEALTH: Final = SLOT_SIGNALS.index(names.PROBE_HEALTH)
_BLOCKS: Final = 15  # ticks; a scrape
_NOTED_S: Final = 0.5  # more than one of the twin's blocks on any clock used here
_WIDTH: Final = 20  # draws side by side; fewer are filled up, so that one program serves them
_INFERENCE: Final = SLOT_SIGNALS.index(names.PROBE_INFERENCE)
_LATENCY: Final = SLOT_SIGNALS.index(names.PROBE_LATENCY)
GIVE_UP_S: Final = 90  # as the demo's judge: what is not healed by then is not healed


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A real deployment, as the twin needs it.

    Attributes:
        numbers: By the names of `deployments.DEFAULTS`.
        shares: Of the traffic at the start: A, B, canary.
        retry_share: Attempts after the first that each request pays for.
        retry_burst: Most of them that are saved up.
        entry: What its controller is configured with.
    """

    numbers: Mapping[str, float]
    shares: tuple[float, float, float]
    retry_share: float
    retry_burst: float
    entry: Managed

    @property
    def factor(self) -> float:
        """Seconds of the twin's clock for one of the deployment's."""
        return SCRAPE_S * SECOND / self.entry.scrape_ns


def drawn(scenario: Scenario, seeds: Sequence[int], deployment: Deployment) -> list[Episode]:
    """Return the scenario's episodes on that deployment, in its own time."""
    own = {name: fixed(value) for name, value in deployment.numbers.items()}
    mine = replace(scenario, deployment=own)
    return [_as_it_is(draw(mine, seed), deployment) for seed in seeds]


def play(scenario: Scenario, seeds: Sequence[int], deployment: Deployment) -> Predicted:
    """Play a fault with each seed, twice: holding, and with the real controller.

    Args:
        scenario: With one fault.
        seeds: One draw each.
        deployment: The real one.
    """
    factor = deployment.factor
    episodes = drawn(scenario, seeds, deployment)
    latest = max(episode.onset_s for episode in episodes)
    length_s = float(np.ceil(latest)) + GIVE_UP_S
    slow = [stretched(episode, factor, length_s=length_s) for episode in episodes]
    world = World(compiled(slow[0].slots, slow[0].tick_s), width=max(len(slow), _WIDTH))
    entry = stretched_entry(deployment.entry, factor)
    controller = Demonstrated(entry)
    holding, acting = world.play(Hold(), slow), world.play(controller, slow)
    onsets = np.array([episode.onset_s for episode in episodes])
    nothing: list[list[tuple[float, str]]] = [[] for _ in slow]
    return Predicted(
        onsets=onsets,
        hold=_seconds(holding, onsets, factor, nothing),
        acting=_seconds(acting, onsets, factor, controller.done),
    )


class Demonstrated(Controller):
    """The real controller with a given configuration, which also keeps what it did.

    Attributes:
        done: (seconds of the twin's clock, what) of every write, for each episode.
    """

    def __init__(self, entry: Managed) -> None:
        super().__init__("homeostat", think=_think, configure=self._configured, person=False)
        self._entry = entry
        self.done: list[list[tuple[float, str]]] = []

    @override
    def start(self, episodes: Sequence[Episode]) -> None:
        """Forget everything and start one controller per episode."""
        self.done = [[] for _ in episodes]
        self._hangs = np.array([_hangs(episode) for episode in episodes])
        super().start(episodes)

    @override
    def act(self, now_s: float, scrape: Scrape) -> Move:
        """Decide, and keep what was written."""
        found = super().act(now_s, shown(scrape, self._hangs))
        for row, mind in enumerate(self.minds):
            for intent in mind.done.writes:
                levers = ", ".join(f"{lever}={value}" for lever, value in intent.post)
                self.done[row].append((now_s, f"undo {levers}" if intent.undo else levers))
        return found

    def _configured(self, entry: Managed) -> Managed:
        """Return the given configuration with the names that the lab's world goes by."""
        return replace(
            self._entry,
            name=entry.name,
            stable_pool=entry.stable_pool,
            fallback_pool=entry.fallback_pool,
            scale_actuator=entry.scale_actuator,
            traffic_actuator=entry.traffic_actuator,
        )


class Released(Platform):
    """A platform on which the stable pool's version was rolled out when the fault began.

    The twin's fault is in the version that runs; a real platform also shows since when.
    """

    def __init__(self, name: str, episode: Episode) -> None:
        super().__init__(name, episode.params)
        self._at_s = episode.onset_s

    @override
    def read(self, now_s: float, scrape: Scrape, number: int) -> Any:
        """Take a scrape's read-back; the release shows with the first one after the onset."""
        if now_s >= self._at_s:
            since, self._at_s = time_ns(self._at_s), float("inf")
            stable = POOLS[Variant.A]
            newest = max(at for at, one in enumerate(self._releases) if one.pool == stable)
            version = self._releases[newest].version
            self._releases[newest] = Release(pool=stable, version=version, since=since)
            self._revision += 1
        return super().read(now_s, scrape, number)


def _think(episode: Episode, entry: Managed, platform: Platform) -> Mind:
    rollback = np.asarray(episode.faults.cure) == Cure.ROLLBACK
    if (rollback & np.isfinite(np.asarray(episode.faults.start_s))).any():
        platform = Released(platform.name, episode)
    return Runtime(loop_parts(), entry, platform, time_ns(0.0))


def shown(scrape: Scrape, hangs: npt.NDArray[np.bool_]) -> Scrape:
    """Return a scrape as a real machine's pages have it.

    A hung process of the twin answers health checks and shows its page; one that is stopped answers
    nothing.

    Args:
        scrape: The twin's, batched.
        hangs: Which slots' processes the fault stops [N, S].
    """
    slot = np.array(scrape.slot, np.float32)
    # Healthy and answering nothing, in a slot that the fault stops; no platform says so.
    hung = hangs & (slot[..., _HEALTH] == 1.0) & (slot[..., _INFERENCE] == 0.0)
    probed = slot[hung][:, _LATENCY]
    slot[hung] = np.nan
    slot[hung, _HEALTH] = slot[hung, _INFERENCE] = 0.0
    slot[hung, _LATENCY] = probed
    return replace(scrape, slot=array(slot))


def _drains_s(episode: Episode, played: Played, row: int) -> float:
    """Return how long a slow process that was replaced goes on, s of the twin's clock.

    It finishes what it holds before it ends, and a cause is gone when its process is. The twin's
    ends at once; what it held at that moment is the queue that the fault had built up.
    """
    faults, service, truth = episode.faults, episode.params.service, played.trace.truth
    if PRIMITIVES[int(faults.primitive[0])].name != "contention":
        return 0.0
    queue, ill = np.asarray(truth.queue[row]), np.flatnonzero(np.asarray(truth.faulty[row]))
    if not ill.size or ill[-1] + 1 == len(queue):
        return 0.0
    # The block in which the process ends counts as faulty, and its queue as gone.
    held = float(queue[ill[-_BLOCKS:]].max() - queue[max(ill[0] - 1, 0)])
    batch, variant = float(service.batch_max[Variant.A]), Variant.A
    takes_s = float(service.tau0_s[variant] + service.alpha_s[variant] * batch)
    takes_s *= float(faults.magnitude[0])
    return min(max(held, 0.0) * takes_s / batch, float(episode.params.provision.drain_s))


def _hangs(episode: Episode) -> npt.NDArray[np.bool_]:
    """Return which slots' processes a fault of the episode stops [S]."""
    faults = episode.faults
    stops = np.asarray(faults.primitive) == INDEX["replica_hang"]
    stops &= np.isfinite(np.asarray(faults.start_s))
    stopped: npt.NDArray[np.bool_] = (np.asarray(faults.slots, bool) & stops[:, None]).any(axis=0)
    return stopped


def _as_it_is(episode: Episode, deployment: Deployment) -> Episode:
    """Return an episode with what no scenario can say of a deployment."""
    params = eqx.tree_at(
        lambda tree: (tree.weights, tree.client.retry_share, tree.client.retry_burst),
        episode.params,
        (
            array(deployment.shares),
            array(deployment.retry_share),
            array(deployment.retry_burst),
        ),
    )
    # The balancer learns how long to go on when the process ends; after that it is no fault.
    faults, stop_s = episode.faults, np.array(episode.faults.stop_s)
    once = np.asarray(faults.primitive) == INDEX["endpoint_stale_s"]
    stop_s[once] = np.asarray(faults.start_s)[once] + _NOTED_S
    return replace(episode, params=params, faults=replace(faults, stop_s=array(stop_s)))


def _seconds(
    played: Played, onsets: Floats, factor: float, done: Sequence[Sequence[tuple[float, str]]]
) -> Seconds:
    """Return a run by seconds of the deployment's own time."""
    truth = played.trace.truth
    ticks = round(factor)

    def of(values: Any) -> Floats:
        whole = np.asarray(values, float)
        length = whole.shape[1] // ticks * ticks
        return whole[:, :length].reshape(len(whole), -1, ticks)

    offered, refused, good = of(truth.offered), of(truth.refused), of(truth.good)
    quantiles = {
        f"{name}_ms": of(getattr(truth, f"{name}_s")).mean(axis=2) * 1000.0 / factor
        for name in ("p50", "p95", "p99")
    }
    faulty = of(truth.faulty)[:, :, -1] > 0.0
    for row, episode in enumerate(played.trace.episodes):
        ill = np.flatnonzero(faulty[row])
        if ill.size:
            more = round(_drains_s(episode, played, row) / factor)
            faulty[row, ill[-1] + 1 : ill[-1] + 1 + more] = True
    actions = [
        [(at / factor - onset, what) for at, what in one if at / factor > onset]
        for one, onset in zip(done, onsets, strict=True)
    ]
    return Seconds(
        offered=np.maximum(offered - refused, 0.0).mean(axis=2) * factor,
        good=good.mean(axis=2) * factor,
        faulty=faulty,
        acted_s=np.array([one[0][0] if one else np.nan for one in actions]),
        actions=tuple(tuple(what for _, what in one) for one in actions),
        **quantiles,
    )
