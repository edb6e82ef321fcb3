"""`homeostat init`: what is found, what is left alone, and the file that is written of it."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from five_servers import DECOYS
from hypothesis import given
from hypothesis import strategies as st
from prometheus_server import exposed
from typer.testing import CliRunner, Result

from homeostat.adapters.sources.presets_file import presets
from homeostat.adapters.sources.prometheus_answer import Series
from homeostat.cli.init_find import Found, Group, _Job, said, sorted_out
from homeostat.cli.init_measure import Measured, quantile, replica_label, scrape_s
from homeostat.cli.init_write import Reached, latency, text
from homeostat.cli.main import app
from homeostat.cli.prometheus_reached import access, files
from homeostat.server.config import Config
from homeostat.server.config.loader import assemble, parse


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["init", *arguments])


def job(*names: str, namespaces: tuple[str, ...] = ("",), down: int = 0) -> _Job:
    made = _Job(names=set(names))
    for space in namespaces:
        made.targets[space] = 2.0
        made.up[space] = 2.0 - down
    return made


VLLM = presets()["vllm"].entry.needs


def found(**jobs: _Job) -> Found:
    return sorted_out(jobs)


def test_what_serves_models_is_found_and_decoys_are_left_alone() -> None:
    decoys = {
        name: job(*(line.split("{")[0].split(" ")[0] for line in page.splitlines()))
        for name, page in DECOYS.items()
    }
    seen = found(llm=job(*VLLM, down=1), istio=job(*presets()["istio"].entry.needs), **decoys)
    (one,) = seen.groups
    assert (one.name, one.select, one.presets) == ("llm", {"job": "llm"}, ("vllm",))
    assert (one.targets, one.up) == (2, 1)
    assert seen.beside == (("istio", ("istio",)),)
    assert seen.others == tuple(sorted(DECOYS))


def test_what_two_presets_claim_is_nobodys() -> None:
    seen = found(two=job(*VLLM, *presets()["triton"].entry.needs))
    assert seen.groups == ()
    assert "triton, vllm all fit" in seen.unclear[0][1]


def test_a_job_over_several_namespaces_is_a_deployment_in_each() -> None:
    seen = found(llm=job(*VLLM, namespaces=("prod", "test", "")))
    assert {one.name: dict(one.select) for one in seen.groups} == {
        "llm-prod": {"job": "llm", "namespace": "prod"},
        "llm-test": {"job": "llm", "namespace": "test"},
    }


def test_names_are_names_and_no_two_are_one() -> None:
    seen = sorted_out({"Chat LLM!": job(*VLLM), "chat-llm": job(*VLLM), "é": job(*VLLM)})
    assert [one.name for one in seen.groups] == ["chat-llm", "chat-llm-2", "model"]


@given(st.text(min_size=1, max_size=80))
def test_any_job_makes_a_file_that_our_own_reader_takes(name: str) -> None:
    groups = sorted_out({name: job(*VLLM)}).groups
    if not name.isprintable():
        return  # the selector refuses it, and says so
    (deployment,) = written((groups[0], measured())).deployments
    assert deployment.prometheus[0].settings["select"] == (("job", said(name)),)


def measured(**more: Any) -> Measured:
    usual: dict[str, Any] = {
        "scrape_s": 15.0,
        "replica_label": "instance",
        "replicas": ("a:80", "b:80"),
        "signals": frozenset(),
        "edges_ms": (100.0, 250.0, 500.0, 1000.0),
        "p95_ms": 120.0,
        "failed": 0.003,
        "models": (),
    }
    return Measured(**(usual | more))


def written(*pairs: tuple[Group, Measured]) -> Config:
    reached = Reached(url="https://prom:9090", more={"tokenFile": "/run/token"})
    return assemble(parse(text(reached, pairs, "now").encode(), "f.yaml"))


def group(**more: Any) -> Group:
    usual: dict[str, Any] = {
        "name": "llm",
        "job": "llm",
        "select": {"job": "llm"},
        "presets": ("vllm",),
        "targets": 2,
        "up": 2,
    }
    return Group(**(usual | more))


def test_the_file_is_a_shadow_that_can_change_nothing() -> None:
    (one,) = written((group(), measured())).deployments
    managed = one.managed
    assert (managed.mode, managed.scale_actuator, one.process) == ("shadow", "observed", None)
    assert managed.scrape_ns == 30 * 10**9
    assert (managed.objective.latency_p95_ms, managed.objective.error_ratio) == (250.0, 0.01)
    gateway, replicas = (entry.settings for entry in one.prometheus)
    assert (gateway["subject"], replicas["replica_label"]) == ("gateway", "instance")
    assert str(gateway["token_file"]) == "/run/token"
    assert [(limit.lever, limit.low, limit.high) for limit in managed.guard.limits] == [
        ("replicas.", 1.0, 4.0)
    ]


def test_its_first_line_names_the_schema_and_doubts_are_comments() -> None:
    pair = (group(), measured(models=("a", "b\nc"), p95_ms=None, failed=None, scrape_s=None))
    said = text(Reached(url="http://prom:9090"), [pair], "now")
    assert said.startswith("# yaml-language-server: $schema=homeostat.schema.json\n")
    for words in ("2 models are judged as one: a, b c", "a guess: no latency was measured"):
        assert words in said
    assert "requests: nothing of vllm shows them" in said
    written(pair)


@pytest.mark.parametrize(
    ("p95", "limit", "words"),
    [
        (120.0, 250.0, "next bound"),
        (166.0, 250.0, "next bound"),
        (167.0, 500.0, "next bound"),
        (900.0, 1000.0, "last bound"),
        (math.inf, 1000.0, "above the histogram's last bound"),
        (None, 1000.0, "a guess"),
    ],
)
def test_a_first_limit_is_a_bound_of_the_histogram(
    p95: float | None, limit: float, words: str
) -> None:
    at, why = latency(measured(p95_ms=p95))
    assert at == limit
    assert words in why


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({}, None),
        ({100.0: 0.0, math.inf: 0.0}, None),
        ({100.0: 5.0}, None),  # without the infinite bound nobody knows how many there are
        ({100.0: 100.0, math.inf: 100.0}, 95.0),
        ({100.0: 90.0, 200.0: 100.0, math.inf: 100.0}, 150.0),
        ({100.0: 50.0, math.inf: 100.0}, math.inf),
    ],
)
def test_a_quantile_is_known_or_it_is_not(
    counts: dict[float, float], expected: float | None
) -> None:
    found = quantile(counts, 0.95)
    assert found == (None if expected is None else pytest.approx(expected))


def up(**labels: str) -> Series:
    samples = tuple((1000.0 + 15.0 * place, 1.0) for place in range(4))
    return Series(labels=labels, samples=samples, identity=frozenset(labels.items()))


def test_replicas_are_pods_only_where_each_target_has_a_pod_of_its_own() -> None:
    assert replica_label([up(pod="a"), up(pod="b")]) == "pod"
    assert replica_label([up(pod="a", instance="1"), up(pod="a", instance="2")]) == "instance"
    assert replica_label([up(pod="a"), up(instance="b")]) == "instance"
    assert replica_label([]) == "instance"
    assert scrape_s([up(pod="a")]) == 15.0
    assert scrape_s([]) is None


def test_the_file_says_how_the_server_was_reached(tmp_path: Path) -> None:
    found = access(
        "https://prom:9090/",
        30.0,
        token_file=None,
        username="ada",
        password_file=tmp_path / "pw",
        tenant="team-a",
        reach="private",
        ca_file=None,
    )
    said = text(Reached(url="https://prom:9090", more=files(found)), [(group(), measured())], "now")
    (one,) = assemble(parse(said.encode(), "f.yaml")).deployments
    for entry in (source.settings for source in one.prometheus):
        keys = ("username", "tenant", "reach", "token_file", "ca_file")
        assert [entry[key] for key in keys] == ["ada", "team-a", "private", None, None]
        assert entry["password_file"] == tmp_path / "pw"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--username", "ada"], "go together"),
        (["--tenant", "a b"], "--tenant"),
        (["--reach", "nobody"], "--reach"),
        (["--token-file", "t", "--username", "u", "--password-file", "p"], "keep one"),
    ],
)
def test_an_option_that_cannot_be_is_named(words: list[str], said: str, tmp_path: Path) -> None:
    out = tmp_path / "h.yaml"
    refused = run("--prometheus", "https://prom.example", "--out", str(out), *words)
    assert refused.exit_code != 0
    assert said in str(refused.exception) + refused.output
    assert not out.exists()


def test_a_file_that_is_there_is_not_touched_and_nobody_is_asked(tmp_path: Path) -> None:
    out = tmp_path / "homeostat.yaml"
    out.write_text("mine")
    refused = run("--prometheus", "http://127.0.0.1:1", "--out", str(out))
    assert refused.exit_code != 0
    assert "is there already" in str(refused.exception) + refused.output
    assert out.read_text() == "mine"


def test_nobody_there_is_missing_data_and_writes_nothing(tmp_path: Path) -> None:
    out = tmp_path / "h.yaml"
    refused = run("--prometheus", "http://127.0.0.1:1", "--out", str(out))
    assert refused.exit_code == 6
    assert list(tmp_path.iterdir()) == []


def test_a_server_of_decoys_alone_is_missing_data_and_writes_nothing(tmp_path: Path) -> None:
    def answer(path: str) -> str:
        result = []
        if "sum" in path or "up" in path:
            result = [{"metric": {"job": "node"}, "value": [1.0, "1"]}]
        return json.dumps({
            "status": "success",
            "data": {"resultType": "vector", "result": result},
        })

    with exposed({}, otherwise=answer) as port:
        said = run("--prometheus", f"http://127.0.0.1:{port}", "--out", str(tmp_path / "h.yaml"))
    assert said.exit_code == 6
    assert "left alone, no preset knows them: node" in said.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["prom:9090", "http://a b", "http://prom/api/v1"])
def test_an_address_that_cannot_be_is_refused_with_its_fix(url: str, tmp_path: Path) -> None:
    refused = run("--prometheus", url, "--out", str(tmp_path / "h.yaml"))
    assert refused.exit_code != 0
    assert "--prometheus" in str(refused.exception) + refused.output
