"""`homeostat judge`: files in, verdicts and exit codes out; what cannot be read is named."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from typer.testing import CliRunner, Result

from homeostat.base.errors import ConfigError
from homeostat.cli.exits import Exit
from homeostat.cli.main import app

HEADER = "t,canary_total,canary_bad,stable_total,stable_bad"
Four = tuple[float, float, float, float]
GOOD: Four = (1000, 10, 1000, 10)
BAD: Four = (1000, 60, 1000, 10)
GONE: Four = (0, 0, 1000, 10)


def table(buckets: list[Four], more: str = "", cells: str = "") -> str:
    """Return counters after these buckets, one a minute."""
    rows, counts = [HEADER + more], [0.0] * 4
    for minute, bucket in enumerate([(0, 0, 0, 0), *buckets]):
        counts = [old + new for old, new in zip(counts, bucket, strict=True)]
        rows.append(",".join(f"{one:g}" for one in (60 * minute, *counts)) + cells)
    return "\n".join(rows) + "\n"


def judge(folder: Path, text: str, *more: str) -> Result:
    file = folder / "canary.csv"
    file.write_text(text)
    return CliRunner().invoke(app, ["judge", "--input", str(file), *more])


def said(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.mark.parametrize(
    ("buckets", "more", "verdict", "code"),
    [
        ([BAD] * 15, [], "harm", Exit.UNHEALTHY),
        ([GOOD] * 30, [], "certified", Exit.OK),
        ([GOOD] * 30, ["--certified"], "certified", Exit.OK),
        ([GOOD] * 3, [], "undecided", Exit.OK),
        ([GOOD] * 3, ["--certified"], "undecided", Exit.NO_DATA),
        ([GOOD] * 3 + [GONE] * 6, [], "no_evidence", Exit.NO_DATA),
        ([GOOD] * 3 + [GONE] * 6, ["--missing", "6"], "undecided", Exit.OK),
        ([GOOD] * 30, ["--deadline", "20", "--below", "0"], "deadline", Exit.NEEDS_APPROVAL),
        ([GOOD] * 30, ["--bucket", "900"], "undecided", Exit.OK),
        ([GONE] * 2, [], "undecided", Exit.OK),
        ([GOOD] * 1, ["--bucket", "3600"], "undecided", Exit.NO_DATA),  # no bucket is full
    ],
)
def test_a_verdict_has_its_exit_code(
    tmp_path: Path, buckets: list[Four], more: list[str], verdict: str, code: Exit
) -> None:
    result = judge(tmp_path, table(buckets), "-o", "json", *more)
    assert (said(result)["verdict"], result.exit_code) == (verdict, code)


def test_scripts_get_yes_or_no_and_how_long_it_took(tmp_path: Path) -> None:
    found = said(judge(tmp_path, table([GOOD] * 5 + [BAD] * 20), "-o", "json"))
    assert (found["harm"], found["certified"], found["return_traffic"]) == (True, False, True)
    assert found["minutes"] == 25.0
    assert 5.0 < found["since_minute"] < 25.0
    (errors,) = found["metrics"]
    assert errors["canary"] == {"total": 25_000.0, "bad": 1250.0}
    assert errors["ratio"] == pytest.approx(5.0)
    assert found["harm_e"] >= found["threshold"] == pytest.approx(20.0)


def test_people_get_a_row_a_metric_and_the_reasons_on_the_side(tmp_path: Path) -> None:
    result = judge(tmp_path, table([BAD] * 15))
    assert "errors" in result.stdout
    assert "worse than the margin" in result.stderr
    assert "uncalibrated" in result.stderr


def test_fewer_than_two_readings_are_no_data(tmp_path: Path) -> None:
    result = judge(tmp_path, table([]))
    assert result.exit_code == Exit.NO_DATA
    assert "at least 2" in result.stderr


def test_an_empty_cell_and_a_new_beginning_are_unknown_never_zero(tmp_path: Path) -> None:
    lines = table([GOOD] * 10).splitlines()
    lines[5] = lines[5].rsplit(",", 4)[0] + ",,,4000,40"
    found = said(judge(tmp_path, "\n".join(lines), "-o", "json"))
    assert found["buckets"] == 8
    assert found["metrics"][0]["canary"]["total"] == 8000.0
    assert found["metrics"][0]["stable"]["total"] == 8000.0  # the same eight minutes


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEADER.replace("canary_bad", "canary_bda") + "\n0,1,1,1,1\n", "canary_bda"),
        (HEADER.removesuffix(",stable_bad") + "\n0,1,1,1\n", "stable_bad"),
        (HEADER + ",t\n0,1,1,1,1,0\n", "twice"),
        (HEADER + "\n0,1,1,1,1\n60,many,1,1,1\n", ":3: canary_total"),
        (HEADER + "\n0,1,1,1,1\n60,1,1,1\n", ":3: 4 cells"),
        (HEADER + "\n0,1,1,1,1\n60,2,1,2,1\n60,3,1,3,1\n", ":4: its time is not after"),
        (HEADER + "\n60,1,1,1,1\n0,2,1,2,1\n", ":3: its time is not after"),
        (HEADER + "\nnoon,1,1,1,1\n1,2,1,2,1\n", "noon"),
        (HEADER + "\n0,1,1,1,1\nnoon,2,1,2,1\n", ":3: 'noon'"),
        (HEADER + ",canary_ms_le_10\n0,1,1,1,1,1\n1,1,1,1,1,1\n", "'ms' needs the same bounds"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    result = judge(tmp_path, text)
    assert isinstance(result.exception, ConfigError)  # exits 2 outside of tests
    assert says in str(result.exception)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--alpha", "0"], "alpha"),
        (["--margin", "0.5"], "margin"),
        (["--below", "0.5"], "promote_ratio"),
        (["--bucket", "0"], "bucket_ns"),
        (["--pods", "0"], "pods"),
    ],
)
def test_an_option_out_of_range_is_named(tmp_path: Path, more: list[str], says: str) -> None:
    result = judge(tmp_path, table([GOOD] * 3), *more)
    assert isinstance(result.exception, ConfigError)
    assert says in str(result.exception)


def test_no_file_says_what_is_needed() -> None:
    result = CliRunner().invoke(app, ["judge"])
    assert "--input" in str(result.exception)
    result = CliRunner().invoke(app, ["judge", "-i", "/nowhere/at-all.csv"])
    assert isinstance(result.exception, ConfigError)


def test_slower_answers_are_found_in_histograms(tmp_path: Path) -> None:
    names = [f"{arm}_ms_le_{bound}" for arm in ("canary", "stable") for bound in (100, 250, "inf")]
    rows = [",".join((HEADER, *names))]
    for minute in range(40):
        canary = [700 * minute, 800 * minute, 1000 * minute]
        stable = [800 * minute, 950 * minute, 1000 * minute]
        counts = [minute * one for one in GOOD]
        rows.append(",".join(f"{one:g}" for one in (60 * minute, *counts, *canary, *stable)))
    found = said(judge(tmp_path, "\n".join(rows), "-o", "json"))
    assert found["harm"]
    assert [one["metric"] for one in found["metrics"]] == ["errors", "ms"]
    assert found["metrics"][0]["harm_e"] < 1.0
    assert found["metrics"][1]["ratio"] == pytest.approx(4.0)


def test_earlier_pods_widen_the_margin(tmp_path: Path) -> None:
    pods = tmp_path / "pods.csv"
    rates = [10] * 18 + [40, 50]
    pods.write_text(
        "window,pod,total,bad\n" + "".join(f"w1,p{i},1000,{bad}\n" for i, bad in enumerate(rates))
    )
    worse: Four = (1000, 25, 1000, 10)
    assert judge(tmp_path, table([worse] * 30)).exit_code == Exit.UNHEALTHY
    wide = judge(tmp_path, table([worse] * 30), "-o", "json", "--calibration", str(pods))
    found = said(wide)
    assert wide.exit_code == Exit.OK
    assert found["metrics"][0]["margin"] > 2.5
    assert not any("uncalibrated" in caveat for caveat in found["caveats"])
    pods.write_text("window,pod,total,bad\nw1,a,10,1\nw1,a,10,1\n")
    twice = judge(tmp_path, table([worse] * 3), "--calibration", str(pods))
    assert ":3:" in str(twice.exception)


def test_the_picture_shows_the_evidence_and_what_decides(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "evidence.svg"
    assert judge(tmp_path, table([BAD] * 15), "--plot", str(file)).exit_code == Exit.UNHEALTHY
    root = ET.parse(file).getroot()
    texts = [node.text for node in root.iter() if node.tag.endswith("text")]
    assert "decides: 20" in texts
    assert {"harm", "certificate"} <= set(texts)
    found = said(judge(tmp_path, table([BAD] * 15), "-o", "json"))
    assert f"harm: minute {found['since_minute']:g}" in texts
    (title,) = (node.text for node in root.iter() if node.tag.endswith("title"))
    assert title is not None
    assert title.startswith("Evidence of a canary: harm")


@pytest.mark.slow
def test_a_plan_says_the_minutes_from_options_or_from_a_file(tmp_path: Path) -> None:
    asked = ["--plan", "--ratio", "4", "--deadline", "60", "-o", "json"]
    told = CliRunner().invoke(
        app, ["judge", *asked, "--requests", "10000", "--bad", "0.005", "--share", "1,5,10"]
    )
    assert told.exit_code == Exit.OK, told.output
    found = said(told)
    assert found["plan"]["shares"] == [0.01, 0.05, 0.1]
    assert 2 <= found["plan"]["find"]["minutes"] <= 60
    assert len(found["by_share"]) == 5
    from_file = said(judge(tmp_path, table([GOOD] * 10), *asked))
    assert from_file["plan"]["requests_per_minute"] == pytest.approx(2000.0)
    assert from_file["plan"]["bad"] == pytest.approx(0.01)
    assert from_file["by_pods"] == []
    pods = tmp_path / "pods.csv"
    rates = [5, 10, 10, 15, 20] * 5
    pods.write_text(
        "window,pod,total,bad\n" + "".join(f"w1,p{i},1000,{bad}\n" for i, bad in enumerate(rates))
    )
    calibrated = said(judge(tmp_path, table([GOOD] * 10), *asked, "--calibration", str(pods)))
    margins = [one["margin"] for one in calibrated["by_pods"]]
    assert [one["pods"] for one in calibrated["by_pods"]] == [1, 2, 5, 10]
    assert margins == sorted(margins, reverse=True)
    assert margins[0] > 1.5
    words = judge(tmp_path, table([GOOD] * 10), *asked[:-1], "table")
    assert "in nine of ten runs" in words.stderr
    assert "minutes to find" in words.stdout


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ([], "--requests"),
        (["--requests", "0", "--bad", "0.01"], "requests"),
        (["--requests", "10", "--bad", "0.01", "--share", "ten"], "percent"),
        (["--requests", "10", "--bad", "0.01", "--share", "100"], "shares"),
    ],
)
def test_a_plan_that_cannot_be_made_says_why(more: list[str], says: str) -> None:
    result = CliRunner().invoke(app, ["judge", "--plan", *more])
    assert isinstance(result.exception, ConfigError)
    assert says in str(result.exception)


def test_a_plan_from_a_file_without_errors_asks_for_them(tmp_path: Path) -> None:
    result = judge(tmp_path, table([(100, 0, 100, 0)] * 3), "--plan")
    assert "not enough to plan with" in str(result.exception)
