"""`homeostat twin`: what it writes, refuses, and how it ends."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from homeostat.cli.main import app, main
from homeostat.report import fit_charts
from homeostat.report.fit_page import page

pytest.importorskip("jax")

LATER = 1_700_000_000 + 24 * 3600


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["twin", *map(str, arguments)])


def recording(
    path: Path,
    seed: int,
    slower: float = 1.0,
    begins: int = 1_700_000_000,
    *,
    latencies: bool = True,
) -> Path:
    """Write 400 minutes of one replica; `p95` is a fixed multiple of the time of a batch."""
    chance = np.random.default_rng(seed)
    batch = np.clip(np.exp(chance.uniform(0.0, np.log(16.0), 400)), 1.0, 16.0)
    service = slower * (0.02 + 0.002 * batch) * (1.0 + 0.03 * chance.standard_normal(400))
    rate = 200.0 * batch / 60.0
    p95 = 2.5 * (0.02 + 0.002 * batch) * np.exp(0.05 * chance.standard_normal(400))
    rows = [
        f"{begins + 60 * k},{b:.6f},{s:.6f},{r:.6f},{r:.6f},1,16,{q if latencies else ''}"
        for k, (b, s, r, q) in enumerate(zip(batch, service, rate, p95, strict=True))
    ]
    head = "timestamp,batch_size,service_s,throughput,request_rate,replicas,batch_limit"
    head += ",latency_p95_s"
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fit")
    source = recording(folder / "first.csv", seed=1)
    out = folder / "fit.json"
    said = run(
        "fit", source, "--out", out, "--p99", 0.3, "--demand", 500, "--price", 2,
        "--report", folder / "fit.html", "-o", "json",
    )  # fmt: skip
    assert said.exit_code == 0, said.output
    shown = json.loads(said.stdout)
    assert shown["parameters"] == json.loads(out.read_text(encoding="utf-8"))["parameters"]
    return out


@pytest.mark.slow
def test_a_fit_says_what_is_known_and_what_is_not(fitted: Path) -> None:
    plain = json.loads(fitted.read_text(encoding="utf-8"))
    known = {one["name"]: one for one in plain["parameters"]}
    assert known["tau0_s"]["low"] <= 0.02 <= known["tau0_s"]["high"]
    assert known["leak_gib_per_hour"]["known"] == "no"
    assert known["leak_gib_per_hour"]["value"] is None
    assert len(plain["input"]["sha256"]) == 64
    assert [plan["demand_rps"] for plan in plain["plans"]][1] == 500
    assert plain["plans"][1]["best"]["usd_per_hour"] == 2 * plain["plans"][1]["best"]["replicas"]


@pytest.mark.slow
def test_the_page_asks_no_other_host_and_holds_both_pictures(fitted: Path) -> None:
    text = fitted.with_name("fit.html").read_text(encoding="utf-8")
    assert text.count("<svg") == 3  # the law, and a choice for each demand
    assert "<script" not in text
    assert "http" not in text
    assert "0 inside" not in text


@pytest.mark.slow
def test_the_law_is_drawn_through_its_points(fitted: Path) -> None:
    plain = json.loads(fitted.read_text(encoding="utf-8"))
    drawn = fit_charts.law(plain)
    assert drawn is not None
    picture = ET.fromstring(drawn)
    dots = list(picture.iter("circle"))
    assert len(dots) == len(plain["law"]["batch"])
    assert len(list(picture.iter("path"))) == 3


@pytest.mark.slow
def test_a_name_from_outside_is_text_in_the_page(fitted: Path) -> None:
    plain = json.loads(fitted.read_text(encoding="utf-8"))
    plain["input"]["source"] = "<img src=x>"
    assert "<img" not in page(plain, "1")


def later(tmp_path: Path, **changes: object) -> Path:
    return recording(tmp_path / "later.csv", seed=2, **{"begins": LATER, **changes})  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_later_stretch_of_the_same_deployment_holds(fitted: Path, tmp_path: Path) -> None:
    said = run("check", fitted, "--input", later(tmp_path), "-o", "json")
    assert said.exit_code == 0, said.output
    shown = json.loads(said.stdout)
    assert (shown["good"], shown["later"], shown["missed"], shown["lacks"]) == (True, True, [], [])
    assert run("check", fitted, "--input", later(tmp_path)).exit_code == 0


@pytest.mark.slow
def test_a_deployment_that_changed_exits_3(fitted: Path, tmp_path: Path) -> None:
    said = run("check", fitted, "--input", later(tmp_path, slower=1.4))
    assert said.exit_code == 3
    assert "service_s: 80% intervals hold" in said.output.replace("\n", " ")


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"latencies": False}, "latency_p95_s was not compared"), ({"begins": 0}, "has no date")],
)
@pytest.mark.slow
def test_a_check_that_shows_too_little_exits_6_and_says_why(
    fitted: Path, tmp_path: Path, changes: dict[str, object], why: str
) -> None:
    said = run("check", fitted, "--input", later(tmp_path, **changes))
    assert said.exit_code == 6
    assert why in said.stderr


@pytest.mark.slow
def test_the_same_recording_is_said_to_show_nothing(fitted: Path, tmp_path: Path) -> None:
    own = fitted.with_name("first.csv")
    said = run("check", fitted, "--input", own)
    assert "record later" in said.stderr
    assert said.exit_code == 6
    less = tmp_path / "less.csv"
    rows = own.read_text(encoding="utf-8").splitlines()
    less.write_text("\n".join([*rows[:7], *rows[8:]]) + "\n", encoding="utf-8")
    for given in ([less], [own, later(tmp_path)]):
        files = [part for path in given for part in ("--input", path)]
        said = run("check", fitted, *files, "-o", "json")
        assert said.exit_code == 6
        assert (json.loads(said.stdout)["good"], json.loads(said.stdout)["later"]) == (False, False)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("timestamp,batch_size,service_s\n", 6),
        ("", 6),
        ("timestamp,memory_gib\n0,1\n60,1\n", 6),
        ("timestamp,batch\n0,1\n", 2),
        ("timestamp,batch_size,service_s\n0,-1,1\n", 2),
    ],
)
def test_what_cannot_be_fitted_ends_with_its_code_and_writes_nothing(
    text: str,
    code: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, out = tmp_path / "m.csv", tmp_path / "fit.json"
    source.write_text(text, encoding="utf-8")
    arguments = ["homeostat", "twin", "fit", str(source), "--out", str(out)]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == code
    assert "m.csv" in capsys.readouterr().err
    assert not out.exists()


def test_a_file_that_is_no_fit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("{}", encoding="utf-8")
    said = run("check", path, "--input", recording(tmp_path / "m.csv", seed=1))
    assert said.exit_code != 0
    assert "twin fit" in str(said.exception)
