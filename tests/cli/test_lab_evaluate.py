"""The evaluation's short form, whole: played, compared, and written into a page."""

import json
from pathlib import Path
from typing import Any

import pytest

from homeostat.base.errors import ConfigError
from homeostat.cli.exits import Exit

pytest.importorskip("jax")

BEGIN, END = "<!-- evaluation: begin -->", "<!-- evaluation: end -->"
SHORT = ("--only", "S05,S09", "--seeds", "2", "--jobs", "1")


# Long, for what they play is compiled anew; the first without learners and their program.
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "policies",
    [
        pytest.param(("hold", "threshold", "random"), marks=pytest.mark.long),
        pytest.param(("hold", "threshold", "ppo_hash", "ppo"), marks=pytest.mark.long),
    ],
    ids=("short", "learners"),
)
def test_one_command_plays_compares_and_writes_the_page(
    bare: Any, tmp_path: Path, policies: tuple[str, ...]
) -> None:
    page = tmp_path / "figures.md"
    page.write_text(f"before\n{BEGIN}\nstale figures\n{END}\nafter\n", encoding="utf-8")
    asked = ["lab", "evaluate", "--policies", ",".join(policies), *SHORT]
    result = bare(*asked, "--out", str(tmp_path / "out"), "--page", str(page), "-o", "json")
    assert result.exit_code == Exit.OK, result.exception
    kept = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))
    assert (kept["scenarios"], kept["seeds"], kept["reference"]) == (2, 2, "threshold")
    assert kept["policies"] == list(policies)
    assert len(kept["pairs"]) == (len(policies) - 1) * len(kept["measures"])
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"before\n{BEGIN}\nMade by `homeostat lab evaluate --seeds 2 ")
    assert text.endswith(f"{END}\nafter\n")
    assert "stale figures" not in text
    assert all(f"| {name} |" in text for name in policies)
    for drawn in (tmp_path / "figures").iterdir():
        assert drawn.read_text(encoding="utf-8").startswith("<svg")
        assert f"](figures/{drawn.name})" in text
    # Played once: the same command reads what is there, and writes the same figures again.
    again = bare(*asked, "--out", str(tmp_path / "out"), "--page", str(page), "-o", "json")
    assert again.exit_code == Exit.OK
    assert page.read_text(encoding="utf-8") == text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("--reference", "oracle"), "unknown reference 'oracle'"),
        (("--policies", "hold,tresh"), "unknown policy 'tresh'"),
        (("--page", "nowhere.md"), "nowhere.md: it cannot be read"),
        (("--only", "S99"), "unknown scenario 'S99'"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_played(
    bare: Any, tmp_path: Path, wrong: tuple[str, ...], said: str
) -> None:
    asked = ("lab", "evaluate", "--policies", "hold,threshold", "--seeds", "1")
    result = bare(*asked, "--out", str(tmp_path / "out"), *wrong)
    assert isinstance(result.exception, ConfigError)
    assert said in str(result.exception)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_page_without_a_place_for_the_figures_is_refused(bare: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"{END} {BEGIN}\n", encoding="utf-8")
    result = bare("lab", "evaluate", "--page", str(page), "--out", str(tmp_path / "out"))
    assert isinstance(result.exception, ConfigError)
    assert "they say where the figures go" in str(result.exception)
