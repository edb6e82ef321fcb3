"""The twin beside an episode: as well informed as a fit, and no better."""

from dataclasses import replace

import numpy as np
import pytest
from controller_made import Made, episode, group

from homeostat.base.actions import HOLD, ActionKind
from homeostat.base.events import Rehearse
from homeostat.base.rehearsal import Rehearsal
from homeostat.base.state import LoopState
from homeostat.base.units import SECOND, TimeNs
from homeostat.lab.controller import Controller
from homeostat.lab.controller_parts import managed
from homeostat.lab.controller_twin import DRAWS, TWIN, Twin, fitted
from homeostat.lab.types import Episode
from homeostat.loop import memory
from homeostat.policy import runbook
from homeostat.twin import params as p
from homeostat.twin.faults import Faults
from homeostat.twin.shapes import VARIANTS

TAU0, ALPHA, CV2 = 0.02, 0.002, 0.3


def drawn(seed: int = 0, scenario: str = "S15") -> Episode:
    """Return an episode whose service law is said."""
    ones, one = np.ones(VARIANTS, np.float32), episode(seed, scenario=scenario)
    values = {name: getattr(one.params, name) for name in one.params.__dataclass_fields__}
    values["service"] = group(
        p.Service, tau0_s=TAU0 * ones, alpha_s=ALPHA * ones, cv2=CV2 * ones, batch_max=8 * ones,
        batch_limit=np.float32(64), concurrency=np.float32(64),
    )  # fmt: skip
    values["provision"] = group(p.Provision, delay_s=np.float32(40), load_s=np.float32(30))
    values["demand"] = group(p.Demand, ca2=np.float32(1.5))
    return replace(one, params=p.Params(**values))


def test_it_knows_nothing_of_the_fault_and_is_the_same_for_every_policy() -> None:
    one = drawn()
    other = replace(one, faults=group(Faults, magnitude=np.ones(8)), onset_s=1.0, family="load")
    mine, theirs = fitted(one), fitted(other)
    assert mine.estimates == theirs.estimates
    np.testing.assert_array_equal(mine.draws, theirs.draws)
    assert mine.region == theirs.region


def test_it_is_off_and_its_intervals_say_by_how_much() -> None:
    held = {"tau0_s": 0, "alpha_s": 0, "cv2": 0, "load_s": 0, "provision_s": 0}
    truth = {"tau0_s": TAU0, "alpha_s": ALPHA, "cv2": CV2, "load_s": 30.0, "provision_s": 40.0}
    seeds = 400
    for seed in range(seeds):
        found = fitted(drawn(seed)).estimates
        for name, true in truth.items():
            assert found[name].value != true
            held[name] += found[name].low <= true <= found[name].high
    # 90 % of 400, to five standard deviations.
    assert all(abs(count - 0.9 * seeds) <= 5 * (0.09 * seeds) ** 0.5 for count in held.values())


def test_its_draws_scatter_around_what_it_takes_for_true() -> None:
    found = fitted(drawn(3))
    for place, (name, wide) in enumerate((("tau0_s", 0.05), ("alpha_s", 0.05), ("cv2", 0.3))):
        logs = np.log(found.draws[:, place] / found.estimates[name].value)
        assert abs(logs.mean()) < 5 * wide / len(logs) ** 0.5
        assert 0.7 * wide < logs.std() < 1.3 * wide


def test_another_seed_and_another_scenario_have_another_twin() -> None:
    values = {
        fitted(one).estimates["tau0_s"].value
        for one in (drawn(0), drawn(1), drawn(0, "S16"), drawn(0))
    }
    assert len(values) == 3


def test_it_was_seen_at_every_size_and_a_fifth_above_its_capacity() -> None:
    region = fitted(drawn()).region
    assert region is not None
    assert region.trusts(1.15, 8.0, 1)
    assert region.trusts(0.1, 8.0, 8)
    assert not region.trusts(1.3, 8.0, 5)
    assert not region.trusts(0.5, 8.0, 9)  # above the hard cap
    assert not region.trusts(float("nan"), 8.0, 5)


def seen(rate: float = 300.0) -> LoopState:
    """Return a controller's state after a while of a load, with a twin declared."""
    controller, made = Controller(), Made(rate=rate)
    controller.start([drawn()])
    for _ in range(20):
        controller.act(made.now_s, made.scrape())
    state: LoopState = controller.minds[0].state
    return replace(state, managed=replace(managed(drawn(), "ep-0000"), twin=TWIN))


def asked(state: LoopState, twin: Twin, number: int = 1) -> Rehearsal:
    assert state.evidence is not None
    at = state.evidence.at
    assert state.world is not None
    guards = memory.guard_state(state)
    batch = runbook._batch(guards, state.world)
    command = Rehearse(
        id="r-0001", deployment="ep-0000", at=at, candidates=batch, draws=DRAWS,
        horizon_ns=30 * SECOND, seed=number, deadline=TimeNs(at + TWIN.deadline_ns),
    )  # fmt: skip
    return twin(command, state)


@pytest.mark.long
def test_it_answers_with_what_would_come_of_holding_and_of_each_candidate() -> None:
    state = seen()
    found = asked(state, Twin(drawn()))
    assert found.trust.is_given, found.trust.reasons
    assert [one.action.kind for one in found.prospects] == [ActionKind.HOLD, ActionKind.BATCH_UP]
    assert found.draws == DRAWS
    held = found.of(HOLD)
    assert held is not None
    assert held.means is not None
    assert 0.0 < held.foreseen.latency_ms.p5 < held.foreseen.latency_ms.p95
    assert 0.0 <= held.means.missed <= 1.0
    # Equal questions have equal answers; the next one, and another episode's, have others.
    assert asked(state, Twin(drawn())) == found
    for other in (asked(state, Twin(drawn()), 2), asked(state, Twin(drawn(1)))):
        assert other.prospects != found.prospects


@pytest.mark.slow
def test_far_beyond_its_capacity_it_is_not_to_be_trusted() -> None:
    found = asked(seen(rate=3000.0), Twin(drawn()))
    assert not found.trust.is_given
    assert "it never saw" in found.trust.reasons[0]
