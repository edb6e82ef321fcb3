"""What deployments share: what each should have, from what the view holds; never a guess."""

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from homeostat.base import names
from homeostat.base.errors import ConfigError
from homeostat.base.evidence import Quality
from homeostat.base.types import TimeNs
from homeostat.base.units import SECOND
from homeostat.cli import tables_shared
from homeostat.policy import division
from homeostat.policy.division import SolverError
from homeostat.server.config.loader import load
from homeostat.server.plan import SharedPlan
from homeostat.server.planning import plan_of
from homeostat.server.sharing import answered, asked
from homeostat.server.view import View
from homeostat.server.view_deployment import DeploymentState
from homeostat.testing.story import story

START = TimeNs(1_700_000_000 * SECOND)
POOL = SharedPlan(name="gpu-a", slots=8, per_hour=None)


def deployment(name: str, utilisation: float | None) -> tuple[DeploymentState, TimeNs]:
    """Return a deployment in its story's calm, with this utilisation; None = not believed."""
    view = View()
    now = START
    for beat in story(START, name=name, ticks=40):
        for item in beat.items:
            view.observe(name, item)
        now = beat.at
    state = view.deployment(name)
    assert state is not None
    assert state.managed is not None
    assert state.evidence is not None
    state.managed = replace(state.managed, shares=("gpu-a",))
    reading = replace(
        state.evidence.readings[0],
        subject=names.pool(state.managed.stable_pool),
        signal=names.UTILISATION,
        value=utilisation,
        quality=Quality.MISSING if utilisation is None else Quality.GOOD,
    )
    state.evidence = replace(state.evidence, readings=(*state.evidence.readings, reading))
    return state, now


def both(busy: float | None, calm: float | None) -> tuple[list[DeploymentState], TimeNs]:
    (one, now), (other, _) = deployment("busy", busy), deployment("calm", calm)
    return [one, other], now


@pytest.mark.slow
def test_capacity_goes_to_who_needs_it_and_nothing_but_words_comes_of_it() -> None:
    states, now = both(1.6, 0.2)
    said = answered(asked([POOL], states, now))
    busy, calm = said["deployments"]
    assert said["answer"] == "divided"
    assert busy["proposed"] > busy["held"]
    assert calm["proposed"] >= calm["floor"]
    assert busy["proposed"] + calm["proposed"] <= 8
    assert "nothing follows it" in tables_shared.summary(said)
    shown = tables_shared.now(said, "busy")["shared now"][0]
    assert f"holds {busy['held']}, proposed {busy['proposed']}" in shown
    assert tables_shared.now(said, "another") == {}


@pytest.mark.slow
@pytest.mark.parametrize("used", [None, math.nan, math.inf, -1.0])
def test_a_load_that_is_not_believed_keeps_what_is_held(used: float | None) -> None:
    states, now = both(used, 0.2)
    row = answered(asked([POOL], states, now))["deployments"][0]
    assert (row["load"], row["proposed"]) == (None, row["held"])
    assert tables_shared.shared([row])[0]["load"] == "unknown"


@pytest.mark.slow
def test_evidence_that_is_old_is_no_load_and_a_world_that_is_old_no_answer() -> None:
    states, now = both(1.6, 0.2)
    assert states[0].managed is not None
    later = TimeNs(now + 10 * states[0].managed.scrape_ns)
    said = answered(asked([POOL], states, later))
    assert said["answer"] == "unknown"
    assert said["because"][0] == "busy: nobody can see how many replicas it has"
    assert states[0].world is not None
    states[0].world = replace(states[0].world, observed_at=later)
    states[1].world = replace(states[0].world, observed_at=later)
    fresh = answered(asked([POOL], states, later))
    assert [row["load"] for row in fresh["deployments"]] == [None, None]


@pytest.mark.slow
def test_more_held_than_there_is_moves_nobody_and_says_what_is_lacking() -> None:
    states, now = both(1.6, 1.6)
    said = answered(asked([replace(POOL, slots=3)], states, now))
    assert said["answer"] == "infeasible"
    assert re.fullmatch(r"gpu-a: the floors need \d+ of 3", said["because"][0])
    assert all(row["proposed"] == row["held"] for row in said["deployments"])
    assert said["shared"][0]["price"] is None


@pytest.mark.slow
def test_without_what_solves_it_there_is_a_clear_word(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: Any, **__: Any) -> Any:
        raise SolverError

    monkeypatch.setattr(division, "_linprog", none)
    states, now = both(1.6, 0.2)
    said = answered(asked([POOL], states, now))
    assert said["answer"] == "unknown"
    assert "pip install 'homeostat[twin]'" in said["because"][0]
    assert all(row["proposed"] == row["held"] for row in said["deployments"])


@pytest.mark.slow
def test_a_value_that_nobody_thought_of_is_no_answer_and_moves_nobody() -> None:
    states, now = both(1e9, 0.2)
    assert states[1].managed is not None
    states[1].managed = replace(states[1].managed, replica_usd_per_hour=math.nan)
    said = answered(asked([POOL], states, now))
    assert said["answer"] == "unknown"
    assert "need of calm: violation must be 0 or more, got nan" in said["because"]
    assert [row["deployment"] for row in said["deployments"]] == ["busy"]


FILES = """
apiVersion: homeostat.dev/v1alpha1
kind: ManagedModel
metadata: {{name: fraud}}
spec:
  interval: 5s
  target: {{process: {{host: "http://127.0.0.1:1"}}}}
  metrics: {{scrape: [{{fromReplicas: true, preset: homeostat_instrument}}]}}
  slo:
    - {{name: latency, latency: {{below: 250ms}}}}
    - {{name: errors, errors: {{atMost: 1%}}}}
  shares: [gpu-a]
---
apiVersion: homeostat.dev/v1alpha1
kind: Controller
metadata: {{name: main}}
spec: {{shared: {shared}}}
"""


def planned(folder: Path, shared: str) -> tuple[SharedPlan, ...]:
    file = folder / "all.yaml"
    file.write_text(FILES.format(shared=shared), encoding="utf-8")
    return plan_of(load([file])).shared


def test_what_is_declared_arrives_and_nothing_is_shared_by_default(tmp_path: Path) -> None:
    assert planned(tmp_path, "[{name: gpu-a, slots: 8}]") == (POOL,)
    assert planned(tmp_path, "[]") == ()


@pytest.mark.parametrize(
    ("shared", "why"),
    [
        ("[{name: gpu-b, slots: 8}]", "no deployment shares 'gpu-b'"),
        ("[{name: gpu-a}]", "says no amount"),
        ("[{name: gpu-a, slots: 1}, {name: gpu-a, slots: 2}]", "there twice"),
        ("[{name: gpu-a, perHour: 10}]", "what a replica of fraud costs"),
        ("[{name: gpu-a, perHour: .nan}]", "perHour"),
        ("[{name: gpu-a, slots: -1}]", "slots"),
        ("[{name: gpu-a, slot: 1}]", "slot"),
    ],
)
def test_what_cannot_be_divided_is_refused_with_the_fix(
    tmp_path: Path, shared: str, why: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(why)):
        planned(tmp_path, shared)
