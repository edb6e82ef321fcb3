"""`homeostat doctor`: each judgement against cases, and the command on this machine."""

import json
import math
import socket
from pathlib import Path
from typing import Any, cast

import pytest
from typer.testing import CliRunner, Result

from homeostat.adapters.sources.prometheus_answer import Answered, QueryError, Series
from homeostat.adapters.sources.prometheus_api import PrometheusApi
from homeostat.cli import doctor_ask as asked
from homeostat.cli import doctor_check as judged
from homeostat.cli import doctor_here as here
from homeostat.cli.doctor_check import Check, Status, worst
from homeostat.cli.main import app
from homeostat.server.config.loader import assemble, parse

EDGES = (100.0, 250.0, 500.0, 2000.0)


@pytest.mark.parametrize(
    ("limit", "promise", "status"),
    [
        (250.0, "requests", "ok"),
        (2000.0, "requests", "ok"),
        (150.0, "looks", "warn"),  # 100..250: more than twice
        (300.0, "looks", "ok"),  # 250..500: exactly twice
        (300.0, "requests", "fail"),  # requests are counted: only a bound will do
        (50.0, "looks", "warn"),
        (1000.0, "looks", "warn"),
        (3000.0, "looks", "fail"),
    ],
)
def test_a_promise_within_a_coarse_bucket_cannot_be_told(
    limit: float, promise: str, status: str
) -> None:
    check = judged.buckets("llm", EDGES, limit, exact=promise == "requests")
    assert check.status.value == status
    assert bool(check.fix) == (status != "ok")
    if status != "ok":
        assert any(f"{edge:g}ms" in check.fix for edge in EDGES)


def test_without_a_histogram_nobody_knows() -> None:
    assert judged.buckets("llm", (), 100.0, exact=False).status is Status.UNKNOWN


@pytest.mark.parametrize(
    ("skew", "status"),
    [(0.4, "ok"), (-2.0, "ok"), (3.0, "warn"), (-6.0, "fail"), (math.nan, "unknown")],
)
def test_clocks(skew: float, status: str) -> None:
    check = judged.clock("http://prom", skew)
    assert check.status.value == status
    assert bool(check.fix) == (status != "ok")


@pytest.mark.parametrize(
    ("scrape", "interval", "status"),
    [
        (15.0, 30.0, "ok"),
        (15.0, 28.6, "ok"),
        (15.0, 20.0, "warn"),
        (15.0, 10.0, "fail"),
        (None, 30.0, "unknown"),
    ],
)
def test_a_round_needs_a_new_sample(scrape: float | None, interval: float, status: str) -> None:
    assert judged.rhythm("llm", scrape, interval).status.value == status


@pytest.mark.parametrize(
    ("age", "scrape", "status"),
    [(20.0, 15.0, "ok"), (40.0, 15.0, "fail"), (None, 15.0, "fail"), (20.0, None, "unknown")],
)
def test_what_is_old_is_not_fresh(age: float | None, scrape: float | None, status: str) -> None:
    assert judged.fresh("llm", age, scrape).status.value == status


def test_targets_that_are_down_are_named() -> None:
    assert judged.targets("llm", (), 3).status is Status.OK
    some = judged.targets("llm", ("a:80",), 3)
    assert (some.status, "a:80" in some.found) == (Status.WARN, True)
    assert judged.targets("llm", ("a:80",), 1).status is Status.FAIL


def test_a_slow_server_is_warned_of_beside_what_a_round_may_take() -> None:
    assert judged.answers("http://prom", 0.2, 1.0).status is Status.OK
    assert judged.answers("http://prom", 0.3, 1.0).status is Status.WARN


def test_what_nothing_shows_is_named() -> None:
    assert judged.signals("llm", (), ("vllm",)).status is Status.OK
    lacking = judged.signals("llm", ("failed requests",), ("kserve_python",))
    assert lacking.status is Status.WARN
    assert "failed requests" in lacking.found
    assert judged.signals("llm", ("requests",), ()).status is Status.FAIL


def test_two_that_move_one_lever_are_told_of() -> None:
    assert judged.owners("llm", watched=True, scalers=None).status is Status.OK
    assert "hpa-1" in judged.owners("llm", watched=True, scalers=("prod/hpa-1",)).found
    assert judged.owners("llm", watched=False, scalers=None).status is Status.UNKNOWN
    assert judged.owners("llm", watched=False, scalers=("prod/hpa-1",)).status is Status.WARN
    assert judged.owners("llm", watched=False, scalers=()).status is Status.OK


async def test_autoscalers_of_a_part_of_the_stores_are_not_none() -> None:
    up = Series(labels={"namespace": "prod"}, samples=((1.0, 1.0),), identity=frozenset())

    class Thanos:
        where = "http://thanos:9090"

        async def instant(self, query: str) -> Answered:
            assert "horizontalpodautoscaler" in query
            return Answered(series=(), warnings=("store down",), partial=True, skew_s=0.0)

    with pytest.raises(QueryError, match="partial"):
        await asked._scalers(cast("PrometheusApi", Thanos()), [up])


def check(status: Status) -> Check:
    return Check(check="c", about="a", status=status, found="f")


def test_a_failure_outweighs_a_doubt_and_a_doubt_a_warning() -> None:
    every = [check(one) for one in (Status.OK, Status.WARN, Status.UNKNOWN, Status.FAIL)]
    assert [worst(every[:count]).value for count in range(5)] == [
        "ok",
        "ok",
        "warn",
        "unknown",
        "fail",
    ]


def document(folder: Path, **more: Any) -> str:
    model = {
        "apiVersion": "homeostat.dev/v1alpha1",
        "kind": "ManagedModel",
        "metadata": {"name": "llm"},
        "spec": {
            "target": {"observe": True},
            "metrics": {
                "prometheus": [
                    {"url": "http://127.0.0.1:1", "select": {"job": "llm"}, "subject": "gateway"},
                    {"url": "http://127.0.0.1:1", "select": {"job": "llm"}, "replicaLabel": "pod"},
                ]
            },
            "slo": [
                {"name": "latency", "latency": {"below": "1s"}},
                {"name": "errors", "errors": {"atMost": "1%"}},
            ],
        },
    }
    spec = {"store": {"path": str(folder / "j.db")}, "api": {"port": 0}, **more}
    control = {**model, "kind": "Controller", "metadata": {"name": "c"}, "spec": spec}
    return "\n---\n".join(json.dumps(one) for one in (model, control))


def machine(folder: Path, **more: Any) -> dict[str, Check]:
    config = assemble(parse(document(folder, **more).encode(), str(folder / "f.yaml")))
    return {one.check: one for one in here.machine(config)}


def test_this_machine_is_fit(tmp_path: Path) -> None:
    found = machine(tmp_path / "new" / "folder")
    assert {one.status for one in found.values()} == {Status.OK}
    assert not (tmp_path / "new").exists()  # it only looks


def test_a_journal_that_cannot_be_written_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = machine(tmp_path / "file")["journal"]
    assert (found.status, "store.path" in found.fix) == (Status.FAIL, True)


def test_a_port_in_use_fails(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        found = machine(tmp_path, api={"port": taken.getsockname()[1]})["port"]
    assert (found.status, "api.port" in found.fix) == (Status.FAIL, True)


def test_a_thrown_kill_switch_and_an_open_secret_are_told_of(tmp_path: Path) -> None:
    (tmp_path / "kill").write_text("nothing\n")
    token = tmp_path / "token"
    token.write_text("t")
    token.chmod(0o644)
    found = machine(tmp_path)
    assert (found["kill switch"].status, found["secret"].status) == (Status.WARN, Status.WARN)
    assert "chmod 600" in found["secret"].fix
    gone = here.secret(tmp_path / "gone", "a secret")
    assert gone.status is Status.FAIL


def test_the_secrets_of_everybody_who_is_told_or_tells_are_looked_at(tmp_path: Path) -> None:
    answers = {
        "signingSecretFile": "slack.signing",
        "team": "T0123ABC",
        "people": {"U0ADA1": "ada"},
    }
    slack = {"channel": "C0123ABC", "botTokenFile": "slack.token", "answers": answers}
    notify = [
        {"webhook": {"url": "https://example.com/hook", "secretFile": "hook.secret"}},
        {"alertmanager": {"url": "https://example.com/", "tokenFile": "am.token"}},
        {"slack": slack},
    ]
    config = assemble(
        parse(
            document(tmp_path, notify=notify, alerts={"tokenFile": "alerts.token"}).encode(),
            str(tmp_path / "f.yaml"),
        )
    )
    asked = [Path(one.about).name for one in here.machine(config) if one.check == "secret"]
    wanted = {"hook.secret", "am.token", "slack.token", "slack.signing", "alerts.token"}
    assert wanted <= set(asked)


def doctor(file: Path) -> Result:
    return CliRunner().invoke(app, ["doctor", "-f", str(file), "--output", "json"])


def test_a_server_that_is_not_there_fails_with_its_address(tmp_path: Path) -> None:
    file = tmp_path / "f.yaml"
    file.write_text(document(tmp_path))
    said = doctor(file)
    assert said.exit_code == 1
    rows = {(row["check"], row["about"]): row for row in json.loads(said.stdout)}
    assert rows["answers", "http://127.0.0.1:1"]["status"] == "fail"
    assert rows["target", "llm (observed)"]["status"] == "fail"
    assert all(row["fix"] for row in rows.values() if row["status"] != "ok")
    assert ("buckets", "llm") not in rows  # nobody answered: nothing is judged


def test_a_file_that_cannot_be_read_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text("kind: Nothing")
    assert doctor(tmp_path / "f.yaml").exit_code != 0
    assert doctor(tmp_path / "gone.yaml").exit_code != 0
