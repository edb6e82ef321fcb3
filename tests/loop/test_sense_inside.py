"""What a model does inside, from pages to evidence: activations, and an autoencoder of its own."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from fleet_sim import FleetSim, managed

from homeostat.base import names, raw
from homeostat.base.evidence import Evidence, Reading, Verdict
from homeostat.detect import vae_file
from homeostat.detect.drifting import Drifting
from homeostat.detect.encoded import CONFIDENCE, SIGNALS
from homeostat.detect.portrait import portrait
from homeostat.detect.vae_config import Config
from homeostat.detect.vae_file import Loaded
from homeostat.detect.vae_model import fit
from homeostat.loop import sense
from homeostat.server import wiring

LAYER = raw.activation("mean:head")
BOUNDS = (-1.5, -0.5, 0.5, 1.5, np.inf)
COLUMNS = (
    "gateway arrival_rate", "gateway latency_p50_ms", "replicas batch_size mean",
    "replicas device_time_ms most",
)  # fmt: skip


class Loop:
    """A simulated fleet whose servers count the activations of one layer."""

    def __init__(self, models: dict[str, Loaded] | None = None, seed: int = 7) -> None:
        self.sim, self.rng, self.tick = FleetSim(seed), np.random.default_rng(seed), 0
        self.parts = replace(
            wiring.sense_parts(models=models), ahead=None, health=None, promises=None
        )
        self.state = sense.init(self.parts)
        self.mean = 0.0

    def play(self, ticks: int) -> Iterator[Evidence]:
        for _ in range(ticks):
            self.tick += 1
            for server in self.sim.servers:
                values = self.mean + self.rng.standard_normal(30)
                server.page.observe(LAYER, BOUNDS, values.tolist())
            reports, world = self.sim.tick()
            self.state, _, evidence = sense.step(
                self.parts, self.state, reports, world, (managed(),), frozenset(),
                self.sim.now, self.tick,
            )  # fmt: skip
            yield evidence[0]


def found(one: Evidence, subject: str, signal: str) -> Reading:
    return next(each for each in one.readings if (each.subject, each.signal) == (subject, signal))


@pytest.mark.slow
def test_activations_that_move_are_a_claim_and_no_suspicion() -> None:
    loop = Loop()
    assert isinstance(loop.parts.drift, Drifting)
    assert loop.parts.encoded is None
    usual = list(loop.play(60))
    last = found(usual[-1], "pool:a", names.ACTIVATION_SHIFT)
    assert last.verdict is Verdict.HEALTHY
    assert not [one for each in usual for one in each.suspicions]
    loop.mean = 0.7
    moved = list(loop.play(20))
    last = found(moved[-1], "pool:a", names.ACTIVATION_SHIFT)
    assert last.verdict is Verdict.ANOMALOUS
    claims = {(one.detector, one.subject, one.signal) for one in moved[-1].anomalies}
    assert ("drift", "pool:a", names.ACTIVATION_SHIFT) in claims
    assert not [one for each in moved for one in each.suspicions]
    order = [(one.subject, one.signal) for one in moved[-1].readings]
    assert order == sorted(set(order))


@pytest.mark.long
def test_an_autoencoder_learnt_of_the_loop_judges_the_loop() -> None:
    seen = list(Loop(seed=3).play(500))
    rows = np.array([[portrait(one.readings).get(c, np.nan) for c in COLUMNS] for one in seen[40:]])
    config = Config(rounds=0, components=8, latent=2, window=2, spacing=2, run_length=1e3)
    fitted = fit(config, rows, np.ones(len(rows), dtype=bool))
    model = vae_file.load(vae_file.save(fitted, config, COLUMNS))
    loop = Loop({"credit": model}, seed=4)
    usual = list(loop.play(120))
    for signal in SIGNALS:
        last = found(usual[-1], names.MODEL, signal)
        assert last.verdict is Verdict.HEALTHY
        assert last.value is not None
    assert not [one for each in usual for one in each.suspicions]
    for server in loop.sim.servers:
        server.slowdown = 1.6  # nothing that a rule of the loop speaks of at once
    wrong = list(loop.play(40))
    claims = {one.signal for each in wrong for one in each.anomalies if one.detector == "vae"}
    assert claims & set(SIGNALS)
    assert max(s.confidence for each in wrong for s in each.suspicions) >= CONFIDENCE
