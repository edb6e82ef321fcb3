"""The benchmark's judges and worlds are what they say; its short form keeps the promises."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from homeostat.stats.share_bet_runs import Law, play

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `safety` be found."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))


def rng() -> Any:
    return np.random.default_rng(3)


def test_the_peers_find_what_is_plain() -> None:
    from safety import judges  # noqa: PLC0415 - found by the fixture above

    awful = Law(requests=10_000.0, ratio=20.0)
    counts = play(awful, minutes=15, runs=20, rng=rng())
    for times in (judges.bets(counts), judges.z_each_minute(counts), judges.mann_whitney(counts)):
        assert np.isfinite(times).all()
    assert np.isfinite(judges.flagger(awful, 20, rng())).all()


def test_flagger_needs_ten_failed_checks_and_promotes_after_ten_good_ones() -> None:
    from safety import judges  # noqa: PLC0415 - found by the fixture above

    always = Law(requests=10_000.0, bad=0.5, shock_sd=0.0)
    assert (judges.flagger(always, 5, rng()) == 10.0).all()
    never = Law(requests=10_000.0, bad=1e-6, shock_sd=0.0)
    assert np.isinf(judges.flagger(never, 5, rng())).all()


def test_a_mann_whitney_judge_lets_a_quarter_of_its_own_estimate_pass() -> None:
    from safety import judges  # noqa: PLC0415 - found by the fixture above

    same = play(Law(requests=10_000.0), minutes=30, runs=50, rng=rng())
    assert np.isfinite(judges.mann_whitney(same)).mean() <= 0.1
    worse = np.array([[100.0, k, 100.0, 10.0] for k in range(10, 40)])[:, :, None]
    assert judges.mann_whitney(worse)[0] in {5.0, 10.0}


def test_slower_answers_move_the_histogram_as_they_should() -> None:
    from safety import slow  # noqa: PLC0415 - found by the fixture above

    total, above = slow.above(np.full(200_000, 1000), np.zeros(200_000), rng())
    shares = [one.sum() / total.sum() for one in above]
    assert shares[4] == pytest.approx(0.7913, abs=0.001)  # P(N > (ln .1 - ln .15) / .5)
    assert shares[5] == pytest.approx(0.1535, abs=0.001)
    assert all(one >= other for one, other in pairwise(shares))


def test_figures_go_between_the_marks_of_a_page_that_has_them(tmp_path: Path) -> None:
    import figures_page  # noqa: PLC0415 - found by the fixture above

    page = tmp_path / "page.md"
    page.write_text(f"before\n{figures_page.BEGIN}\nold\n{figures_page.END}\nafter\n")
    figures_page.write(page, "new")
    assert page.read_text() == f"before\n{figures_page.BEGIN}\nnew\n{figures_page.END}\nafter\n"
    page.write_text("no marks")
    with pytest.raises(SystemExit, match="lacks"):
        figures_page.write(page, "new")


def test_the_page_shows_no_promise_broken() -> None:
    text = (ROOT / "docs" / "reference" / "canary-figures.md").read_text(encoding="utf-8")
    assert "Promises shown broken (97.5 %): 0." in text
    assert "2,000 runs a cell" in text


@pytest.mark.slow
def test_every_published_alpha_holds_in_six_families() -> None:
    from safety import measured  # noqa: PLC0415 - found by the fixture above

    text = measured.coverage(300, 11)
    assert text.count("\n| ") == 1 + 2 * 6
    assert text.endswith("Promises shown broken (97.5 %): 0.")


def test_the_whole_judge_finds_what_bets_on_errors_cannot_see() -> None:
    from safety import engine  # noqa: PLC0415 - found by the fixture above

    alike = play(Law(requests=1000.0, shock_sd=0.0), minutes=25, runs=4, rng=rng())
    configs = [engine.config(1.2)] * 4
    harm, _ = engine.verdicts(alike, configs, rng(), slower=2.0)
    assert np.isfinite(harm).all()
    harm, _ = engine.verdicts(alike, configs, rng())
    assert np.isinf(harm).all()


def test_the_whole_judge_ends_a_canary_that_answers_nothing_right_at_once() -> None:
    from safety import engine  # noqa: PLC0415 - found by the fixture above

    counts = np.array([[[20.0], [20.0], [180.0], [1.0]]] * 5)
    configs = [engine.config(1.2)]
    harm, certified = engine.verdicts(counts, configs, rng())
    assert harm[0] <= configs[0].dead_buckets
    assert np.isinf(certified).all()
