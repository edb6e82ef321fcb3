"""One choice, one proposal, and ten thousand choices of the safe-canary bandit."""

import sys
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

sys.path.insert(0, str(Path(__file__).parent))

from bandits.clocks import asked
from homeostat.base.units import TimeNs
from homeostat.policy import bandit
from homeostat.policy.bandit import Config
from homeostat.policy.bandit_choose import weighed
from homeostat.policy.bandit_fleet import decide, prepared
from homeostat.policy.bandit_propose import propose
from homeostat.safety.permit import permit
from homeostat.testing import guard_scene as g

CONFIG = Config(arms=6, features=32, costs=2)


@pytest.fixture
def seen() -> bandit.View:
    return bandit.view(CONFIG, bandit.init(CONFIG), TimeNs(0))


def test_one_choice(benchmark: BenchmarkFixture, seen: bandit.View) -> None:
    benchmark.group = "safe-canary bandit, 6 arms, 32 features"
    x = np.full(CONFIG.features, 0.125)
    assert len(benchmark(weighed, CONFIG, seen, x, (0.3, 0.3))) == CONFIG.arms


def test_one_proposal(benchmark: BenchmarkFixture, seen: bandit.View) -> None:
    benchmark.group = "safe-canary bandit, 6 arms, 32 features"
    ask = asked(CONFIG)
    offered = tuple(candidate.action for candidate in ask.candidates)
    safe = permit(offered, g.bad_release(g.scene()), g.NOW)
    proposal, _ = benchmark(propose, CONFIG, seen, ask, safe)
    assert safe.holds(proposal.action)


def test_ten_thousand_choices(benchmark: BenchmarkFixture, seen: bandit.View) -> None:
    benchmark.group = "safe-canary bandit, 6 arms, 32 features, 10,000 deployments"
    x = np.full((10_000, CONFIG.features), 0.125, dtype=np.float32)
    room = np.full((10_000, CONFIG.costs), 0.3, dtype=np.float32)
    may, ready = np.ones((10_000, CONFIG.arms), dtype=bool), prepared(CONFIG, seen)
    assert len(benchmark(decide, CONFIG, ready, x, room, may).arm) == 10_000
