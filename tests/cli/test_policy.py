import json
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

import pytest
import yaml
from typer.testing import CliRunner

from homeostat.cli import policy_diff, policy_verify
from homeostat.cli.main import app
from homeostat.proof.diff import Widening
from homeostat.proof.question import Drawn
from homeostat.proof.replay import Seen
from homeostat.proof.verify import Result
from homeostat.server import proving
from homeostat.server.proving import Subject

GOOD = "examples/policies/good/two-an-hour.yaml"
STEP = Seen(
    drawn=Drawn(
        kind="scale_down", at_ms=600_001, live=5000, wanted=4000, lever="replicas.",
        facts=MappingProxyType({"undo": False, "slo_met": False}), odd=("slo_met",),
    ),
    subject="pool:a", change=(("replicas.a", 4),), rotation=5, answer="allow", reasons=(),
)  # fmt: skip
PROVED = Result(name="bounds", promise="Bounds hold.", verdict="proved")
REFUTED = Result(
    name="capacity", promise="Half stays.", verdict="refuted", counterexample=(STEP,),
    replayed=True, outage="The peak meets two replicas.",
)  # fmt: skip
UNKNOWN = Result(name="turns", promise="No turns.", verdict="unknown", why="no answer in time")


def run(
    monkeypatch: pytest.MonkeyPatch, results: tuple[Result, ...], *args: str
) -> tuple[int, str]:
    def prove(subject: Subject, timeout_ms: int) -> Iterator[Result]:
        assert subject.name == "two-an-hour"
        yield from results

    monkeypatch.setattr(policy_verify, "prove", prove)
    monkeypatch.setattr(policy_verify, "findings", lambda subject: ("rule 'x' is idle",))
    said = CliRunner().invoke(app, ["policy", "verify", GOOD, *args])
    return said.exit_code, said.stdout


@pytest.mark.parametrize(
    ("results", "code"),
    [((PROVED,), 0), ((PROVED, UNKNOWN), 6), ((PROVED, UNKNOWN, REFUTED), 1), ((REFUTED,), 1)],
)
def test_the_exit_code_is_the_worst_verdict(
    monkeypatch: pytest.MonkeyPatch, results: tuple[Result, ...], code: int
) -> None:
    assert run(monkeypatch, results)[0] == code


def test_scripts_get_every_property_with_its_counterexample(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, text = run(monkeypatch, (PROVED, REFUTED), "--output", "json")
    first, second = json.loads(text)["properties"]
    assert (first["name"], first["verdict"], first["counterexample"]) == ("bounds", "proved", None)
    assert (second["verdict"], second["replayed"]) == ("refuted", True)
    assert second["counterexample"] == [{
        "at_s": 600.001, "action": "scale_down", "subject": "pool:a", "change": {"replicas.a": 4},
        "replicas_before": 5, "replicas_after": 4, "undo": False, "unusual": {"slo_met": False},
        "guards": "allow", "reasons": [],
    }]  # fmt: skip


def test_people_see_a_time_line_and_the_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    _, text = run(monkeypatch, (REFUTED,))
    assert "10:00 ████████████████░░░░ takes replicas away" in text
    assert "5 to 4 replicas; slo_met = no; the guards allow it" in text
    assert "The outage it allows: The peak meets two replicas." in text


def test_a_page_shows_the_counterexample_as_a_picture(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run(monkeypatch, (PROVED, REFUTED, UNKNOWN), "--report", str(tmp_path / "a" / "page.html"))
    text = (tmp_path / "a" / "page.html").read_text(encoding="utf-8")
    assert text.count("<svg") == 1
    assert "<script" not in text
    assert "The peak meets two replicas." in text
    assert "Unknown: no answer in time." in text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no GuardrailPolicy and no ManagedModel"),
        (("apiVersion: homeostat.dev/v1alpha1\nkind: GuardrailPolicy\nmetadata: {name: p}\n"
         "spec: {rules: [{name: r, require: shrank < 2}]}\n"), "did you mean shrunk"),
        (("apiVersion: homeostat.dev/v1alpha1\nkind: GuardrailPolicy\nmetadata: {name: p, "
         "annotations: {homeostat.dev/interval: often}}\nspec: {}\n"), "no duration"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "p.yaml").write_text(text, encoding="utf-8")
    said = CliRunner().invoke(app, ["policy", "verify", str(tmp_path / "p.yaml")])
    assert says in str(said.exception)
    assert said.exit_code != 0


def test_without_the_solver_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proving, "find_spec", lambda name: None)
    said = CliRunner().invoke(app, ["policy", "verify", GOOD])
    assert said.exit_code == 6
    assert "homeostat[proof]" in said.stderr


def test_export_prints_what_kubernetes_reads() -> None:
    said = CliRunner().invoke(app, ["policy", "export", GOOD, "--account", "me"])
    policy, binding = yaml.safe_load_all(said.stdout)
    assert policy["metadata"] == binding["metadata"] == {"name": "homeostat-two-an-hour"}
    assert said.exit_code == 0


def test_export_for_one_deployment_names_it() -> None:
    said = CliRunner().invoke(app, ["policy", "export", GOOD, "--target", "a=shop/recommender"])
    policy, _ = yaml.safe_load_all(said.stdout)
    which = policy["spec"]["matchConditions"][1]["expression"]
    assert which == 'request.namespace == "shop" && request.name == "recommender"'


@pytest.mark.parametrize("text", ["shop/recommender", "a=shop", "a=/x", "=shop/x", "a=shop/hpa/"])
def test_a_target_of_another_form_says_which_is_meant(text: str) -> None:
    said = CliRunner().invoke(app, ["policy", "export", GOOD, "--target", text])
    assert said.exit_code != 0
    assert "NAMESPACE" in str(said.exception)


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ((), 0),
        ((Widening(kind="scale_down", change="newly allowed", witness=(STEP,)),), 1),
        ((Widening(kind="scale_down", change="unknown"),), 6),
    ],
)
def test_diff_says_in_its_exit_code_whether_more_is_allowed(
    monkeypatch: pytest.MonkeyPatch, found: tuple[Widening, ...], code: int
) -> None:
    monkeypatch.setattr(policy_diff, "widened", lambda *_: iter(found))
    said = CliRunner().invoke(app, ["policy", "diff", GOOD, GOOD, "--output", "json"])
    assert said.exit_code == code
    assert [one["change"] for one in json.loads(said.stdout)["differences"]] == [
        one.change for one in found
    ]
