"""Rows of forecasts and of the autoencoder: what was found, what was not, and what nobody knows."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from homeostat.base.evidence import Family

ROOT = Path(__file__).parents[2]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from detection import (  # noqa: PLC0415 - found by the line above
        breaches,
        gates,
        part_forecasts,
        part_vae,
        rows,
    )

    named = {one.key: one for one in gates.GATES}
    return SimpleNamespace(
        breaches=breaches, gates=named, forecasts=part_forecasts, vae=part_vae, rows=rows
    )


def led(*ratios: float, episodes: int) -> Any:
    return SimpleNamespace(
        ratio=np.array(ratios),
        lead_s=60.0 * np.array(ratios),
        room=np.abs(np.array(ratios)) + 0.5,
        episodes=episodes,
    )


@pytest.mark.parametrize(
    ("ratios", "said", "shown"),
    [
        ((2.0, 0.5, 3.0), "met, but the interval has both", "2.0"),
        ((0.5,), "missed", "0.5"),
        ((2.0, float("-inf"), float("-inf")), "missed", "none"),
        ((), "not to be told", "unknown"),
    ],
)
def test_a_fault_that_nobody_alarmed_of_has_no_lead_and_is_not_left_out(
    bench: Any, ratios: tuple[float, ...], said: str, shown: str
) -> None:
    found = bench.forecasts._lead(led(*ratios, episodes=3), short=False)
    gate = bench.gates["forecasts.lead_S04"]
    assert bench.rows.verdict(gate, found) == said
    table = bench.rows.table([bench.rows.Row(gate, found)])
    assert f"| {shown}" in table
    assert f"{len(ratios)} of 3 episodes" in table


def test_what_was_done_on_forecasts_is_counted_by_simulated_week(bench: Any) -> None:
    did = [
        SimpleNamespace(foreseen=1, false=3.0, days=3.5),
        SimpleNamespace(foreseen=0, false=0.0, days=10.5),
    ]
    found = bench.forecasts._false(did, "S22, S43", short=False)
    assert found.value == 0.5
    assert found.low < 0.5 < found.high
    assert "14.00 simulated days" in found.how
    assert "of any cause: 3" in found.how
    assert bench.rows.verdict(bench.gates["forecasts.false"], found).startswith("met")


def test_without_what_simulates_the_skills_are_there_and_the_rest_is_said(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    skill = bench.breaches.Skill(0.2, np.array([0.1, 0.3]), -0.1)
    every = {(m, r): skill for m in bench.breaches.MINUTES for r in bench.breaches.RIVALS}
    made = bench.breaches.Breaches(every, "2 series", "a table")

    def missing(_: Any) -> Any:
        raise ImportError("no jax here")

    monkeypatch.setattr(bench.breaches, "measured", lambda _: made)
    monkeypatch.setattr(bench.forecasts, "_scenarios", missing)
    from detection.made import Asked  # noqa: PLC0415 - found by the fixture

    outcome = bench.forecasts.forecasts(Asked())
    assert outcome.missing == "no jax here"
    assert set(outcome.found) == {key for key in bench.gates if "persist" in key or "season" in key}
    assert outcome.text == "a table"


def test_skill_is_of_all_series_together_and_unknown_where_nobody_was_wrong(bench: Any) -> None:
    errors = {
        (5, "ours"): np.array([1.0, 2.0]),
        (5, "still"): np.array([4.0, 0.0]),
        (5, "still_rate"): np.array([0.0, 0.0]),
    }
    found = bench.breaches._skill([errors], 5, "persistence")
    assert found.value == 0.25
    assert np.isnan(found.rate)
    assert np.nanmax(found.resampled) == 0.75


def test_without_pyods_autoencoder_its_recorded_figures_are_named_as_such(bench: Any) -> None:
    theirs, whose = bench.vae._pyod({}, ["machine-2-1", "machine-3-3"])
    found = bench.vae._row(np.array([0.30, 0.20]), theirs, whose, 2)
    assert found.value == pytest.approx((0.30 - 0.278 + 0.20 - 0.173) / 2)
    assert "as recorded (quoted" in found.how
    assert bench.vae._pyod({"PyOD VAE": [0.5]}, ["machine-2-1"]) == (
        [0.5], "PyOD's VAE in the same run"
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.usefixtures("bench")
def test_an_action_on_what_is_only_foreseen_is_counted_once_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("jax")
    from detection import ahead  # noqa: PLC0415 - found by the fixture, and needs what simulates

    def load(subject: str, *writes: tuple[str, bool]) -> Any:
        made = [SimpleNamespace(action_id=action, undo=undo) for action, undo in writes]
        incident = SimpleNamespace(family=Family.LOAD, subject=subject) if subject else None
        return SimpleNamespace(
            state=SimpleNamespace(incident=incident), done=SimpleNamespace(writes=made)
        )

    said = iter([
        [load("pool:a", ("a-1", False)), load("gateway", ("a-1", False)), load("")],
        [load("pool:a", ("a-1", False)), load("pool:b"), load("", ("a-1", False))],
        [load("pool:a", ("a-1", True), ("a-2", True)), load("pool:b", ("a-2", False)), load("")],
    ])
    inner = SimpleNamespace(name="homeostat", minds=[])

    def act(*_: Any) -> None:
        inner.minds = next(said)

    inner.act = act
    monkeypatch.setattr(ahead, "make", lambda _: inner)
    watched = ahead.Watched()
    for scrape in range(3):
        watched.act(15.0 * scrape, None)  # type: ignore[arg-type] # nobody looks at it
    assert watched.foreseen == 2
