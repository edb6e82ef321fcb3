"""`lab oracle`: policies beside a clairvoyant that was not shown what they did."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

from homeostat.cli.lab_oracle_run import SHOWN, beaten
from homeostat.cli.main import app
from homeostat.lab.metrics_score import Scores
from homeostat.lab.shards import shards
from homeostat.testing.catalogue import scenario

RUN = CliRunner()


def scores(*values: float, reverse: bool = False) -> Scores:
    """Return scores of two scenarios, half of the values each."""
    half = len(values) // 2
    rows = [("S01" if i < half else "S02", i % half, value) for i, value in enumerate(values)]
    rows = rows[::-1] if reverse else rows
    found = SimpleNamespace(
        scenario=tuple(row[0] for row in rows),
        seed=tuple(row[1] for row in rows),
        value=np.array([row[2] for row in rows]),
    )
    return cast("Scores", found)


def test_it_is_shown_the_plainest_policies_alone() -> None:
    pieces = shards([scenario("S43")], ["runbook", *SHOWN, "oracle"], [0], shown=SHOWN)
    (oracle,) = (one for one in pieces if one.policy == "oracle")
    assert set(oracle.others) == set(SHOWN)
    (every,) = (
        one
        for one in shards([scenario("S43")], ["runbook", *SHOWN, "oracle"], [0])
        if one.policy == "oracle"
    )
    assert set(every.others) == {*SHOWN, "runbook"}
    assert oracle.digest() != every.digest()


def test_who_is_worth_more_is_asked_seed_by_seed_in_whatever_order() -> None:
    best = scores(-1.0, -2.0, -3.0, -4.0, reverse=True)
    (one,) = beaten(scores(-1.0, -2.5, -2.0, -3.5), best)
    differences = [1.0, 0.5]
    low = 0.75 - stats.t.ppf(0.975, 1) * np.std(differences, ddof=1) / 2**0.5
    assert (one.scenario, one.more) == ("S02", 0.75)
    assert one.low == pytest.approx(low)


def test_one_seed_has_no_interval_and_rounding_is_no_victory() -> None:
    (one,) = beaten(scores(-1.0, -2.0 + 1e-9), scores(-2.0, -2.0))
    assert (one.scenario, one.low, one.beyond) == ("S01", None, True)


@pytest.mark.long
def test_the_command_measures_a_policy_and_twice_the_search(tmp_path: Path) -> None:
    words = ["lab", "oracle", "--only", "S43", "--policies", "threshold", "--doubled", "S43"]
    words += ["--jobs", "1", "--out"]
    result = RUN.invoke(app, [*words, str(tmp_path), "--output", "json"])
    assert result.exit_code in {0, 1}, result.output
    found = json.loads((tmp_path / "oracle.json").read_text())
    assert found["policies"].keys() == {"threshold", "hpa"}
    assert found["doubled"].keys() == {"S43"}
