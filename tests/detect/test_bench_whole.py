"""The benchmark of detection from its command to its table: every row has a figure of this run."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
# Parts that need neither what simulates nor a minute.
QUICK = ("shesd", "nab", "aiops", "smd", "ewma", "fleet", "false")
LONGER = ("checks", "forecasts", "lab", "vae", "feedback", "speed")


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from detection import (  # noqa: PLC0415 - found by the line above
        __main__,
        gates,
        judging,
        playing,
        resampled,
        sets,
    )

    if not (sets.SHARED / "tools" / "adscore.py").exists():
        pytest.skip("the public sets and their scorer are not beside this checkout")
    monkeypatch.setattr(playing, "_KEPT", tmp_path / "played")
    return SimpleNamespace(
        driver=__main__, gates=gates, judging=judging, resampled=resampled, sets=sets
    )


def figures(bench: Any, part: str) -> dict[str, Any]:
    """Return the figures of a sample of a part; a row that is lost or unknown fails."""
    from detection.made import Asked  # noqa: PLC0415 - found by the fixture

    played = bench.driver.play(part, Asked(sample=True))
    assert not played.failed, played.why
    found = dict(played.outcome.found)
    assert list(found) == [one.key for one in bench.gates.of(part)]
    for key, one in found.items():
        # A fleet of ten may raise no alarm, of which no share is false.
        # In S42 HOLD is never hurt, and before what does not come there is no lead.
        nothing = {"fleet.real_false", "forecasts.lead_S42"}
        assert math.isfinite(one.value) or key in nothing, key
        assert one.how, key
        assert one.low is None or one.low <= one.value <= one.high, key
    return found


@pytest.mark.sampled(4)
@pytest.mark.slow
@pytest.mark.parametrize("part", QUICK)
def test_every_row_of_a_part_has_a_figure(bench: Any, part: str) -> None:
    found = figures(bench, part)
    if part == "shesd":
        assert found["shesd.sets"].value == 15.0


@pytest.mark.long
@pytest.mark.parametrize("part", LONGER)
def test_every_row_of_a_part_that_takes_longer_has_a_figure(bench: Any, part: str) -> None:
    found = figures(bench, part)
    if part == "checks":
        assert found["checks.hold"].value == 0.0


def test_no_part_is_left_to_no_test(bench: Any) -> None:
    assert {*QUICK, *LONGER} == set(bench.gates.PARTS)


@pytest.mark.slow
def test_the_command_prints_the_table_and_writes_it_into_its_page(
    bench: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "before\n<!-- measured: begin -->\nstale figures\n<!-- measured: end -->\nafter\n"
    )
    words = ["--sample", "--bare", "--parts", "ewma", "--page", str(page)]
    assert bench.driver.main(words, journal=tmp_path / "kept.json") == 0
    text, said = page.read_text(), capsys.readouterr().out
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "stale figures" not in text
    for gate in bench.gates.GATES:
        assert f"| {gate.title} |" in text
    assert said.strip() in text
    assert 'make bench-detection PARTS="--parts ewma --sample --bare"' in text
    assert "commit" in text.splitlines()[2]


@pytest.mark.slow
def test_an_interval_is_about_the_scorer_s_own_figure(bench: Any) -> None:
    root = bench.sets.nab_root() / "data"
    names = (
        "artificialWithAnomaly/art_daily_nojump.csv",
        "realKnownCause/rogue_agent_key_hold.csv",
        "realTraffic/speed_7578.csv",
    )
    rng = np.random.default_rng(4)
    scores = [rng.random(len((root / name).read_text().splitlines()) - 1) for name in names]
    volumes = bench.judging.volumes(names, scores)
    figure = bench.judging.nab(names, scores, volume=False)
    # Each file once, as in the figure itself: the resample's way must come to the scorer's figure.
    once = np.ones((1, len(names)))
    real, bench.resampled.resamples = bench.resampled.resamples, lambda *_, **__: once
    try:
        drawn = bench.resampled.nab(names, scores, volumes, 0.5)
    finally:
        bench.resampled.resamples = real
    # The best threshold is looked for among 300 of thousands here.
    assert drawn["standard"][0] == pytest.approx(figure["standard"], abs=3.0)
    assert drawn["standard"][0] <= figure["standard"] + 1e-9
    assert drawn["shipped threshold"][0] == pytest.approx(figure["shipped threshold"])
    assert drawn["event F1"][0] == pytest.approx(figure["event F1"])
    assert drawn["false a day"][0] == pytest.approx(figure["false a day"])
    assert drawn["VUS-PR"][0] == pytest.approx(np.nanmean(volumes))
