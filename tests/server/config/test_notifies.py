"""Who is told, who may answer there and who may tell us: strict, and no secret in the file."""

import json
from pathlib import Path
from typing import Any

import pytest

from homeostat.base.decisions import Urgency
from homeostat.base.errors import ConfigError
from homeostat.server import wiring
from homeostat.server.config import load
from homeostat.server.planning import plan_of

MODEL = """
apiVersion: homeostat.dev/v1alpha1
kind: ManagedModel
metadata: {name: m}
spec:
  target: {process: {host: "http://127.0.0.1:9"}}
  metrics: {scrape: [{fromReplicas: true, preset: vllm}]}
  slo: [{name: latency, latency: {below: 250ms}}, {name: errors, errors: {atMost: 1%}}]
"""
SLACK = {
    "channel": "C0123",
    "botTokenFile": "bot",
    "answers": {"signingSecretFile": "signing", "team": "T0123", "people": {"U0ADA": "ada"}},
    "least": "ask",
    "perDay": 7,
    "console": "https://console.example",
}
ALERTMANAGER = {
    "url": "http://alertmanager:9093/",
    "allow": ["alertmanager:9093"],
    "user": "ada",
    "passwordFile": "password",
    "labels": {"team": "ml"},
    "again": "30s",
}
WEBHOOK = {"url": "http://hooks:8080/in", "secretFile": "secret", "allow": ["hooks:8080"]}


def loaded(folder: Path, **spec: Any) -> Any:
    controller = {
        "apiVersion": "homeostat.dev/v1alpha1",
        "kind": "Controller",
        "metadata": {"name": "c"},
        "spec": {"store": {"path": "state/j.db"}} | spec,
    }
    file = folder / "h.yaml"
    file.write_text(MODEL + "---\n" + json.dumps(controller))
    return plan_of(load([file]))


def test_every_setting_arrives_and_files_lie_beside_the_file(tmp_path: Path) -> None:
    notify = [{"slack": SLACK}, {"alertmanager": ALERTMANAGER}, {"webhook": WEBHOOK}]
    alerts = {"tokenFile": "alerts", "label": "model_name"}
    for name in ("bot", "password", "secret"):
        (tmp_path / name).write_text("0123456789abcdef0123456789abcdef")
    plan = loaded(tmp_path, notify=notify, alerts=alerts)
    slack, alertmanager, webhook = (dict(one.settings) for one in plan.notifiers)
    assert [one.part for one in plan.notifiers] == ["slack", "alertmanager", "webhook"]
    assert slack == {
        "channel": "C0123",
        "bot_token_file": tmp_path / "bot",
        "kept_file": tmp_path / "state" / "slack-C0123.json",
        "buttons": True,
        "console": "https://console.example",
        "least": Urgency.ASK,
        "per_day": 7,
        "api": "https://slack.com/api",
        "allow": (),
    }
    assert alertmanager["url"] == "http://alertmanager:9093"
    assert (alertmanager["again_s"], alertmanager["labels"]) == (30.0, {"team": "ml"})
    assert alertmanager["password_file"] == tmp_path / "password"
    assert webhook["allow"] == ("hooks:8080",)
    assert plan.slack.people == (("U0ADA", "ada"),)
    assert (plan.slack.team, plan.slack.channel) == ("T0123", "C0123")
    assert plan.slack.secret_file == tmp_path / "signing"
    assert (plan.alerts.token_file, plan.alerts.label) == (tmp_path / "alerts", "model_name")
    assert not plan.terminal
    assert len([wiring.build("notifier", one) for one in plan.notifiers]) == 3


def test_what_is_not_written_is_not_there(tmp_path: Path) -> None:
    plan = loaded(tmp_path)
    assert (plan.notifiers, plan.slack, plan.alerts, plan.terminal) == ((), None, None, True)
    without = {key: value for key, value in SLACK.items() if key != "answers"}
    plan = loaded(tmp_path, notify=[{"slack": without}])
    assert plan.slack is None
    assert plan.notifiers[0].settings["buttons"] is False


def answers(**other: Any) -> dict[str, Any]:
    return {"slack": SLACK | {"answers": SLACK["answers"] | other}}  # type: ignore[operator]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({}, "either terminal"),
        ({"terminal": False}, "either terminal"),
        ({"terminal": True, "webhook": WEBHOOK}, "either terminal"),
        ({"slack": SLACK, "alertmanager": ALERTMANAGER}, "either terminal"),
        ({"slack": SLACK | {"botToken": "xoxb-in-the-file"}}, "botToken"),
        ({"slack": SLACK | {"channel": "#ml"}}, "channel"),
        ({"slack": SLACK | {"perDay": 0}}, "perDay"),
        ({"slack": SLACK | {"least": "loud"}}, "least"),
        ({"slack": SLACK | {"allow": ["hooks"]}}, "allow"),
        (answers(people={}), "people"),
        (answers(people={"ada": "ada"}), "people"),
        (answers(people={"U0ADA": "owner"}), "no name of `homeostat people`"),
        (answers(people={"U0ADA": "Ada L"}), "no name of `homeostat people`"),
        (answers(people={"U0ADA": "ada", "U0BOB": "ada"}), "two people must not be one"),
        (answers(team="C0123"), "team"),
        (answers(signingSecret="x"), "signingSecret"),
        ({"alertmanager": ALERTMANAGER | {"labels": {"incident": "x"}}}, "one of ours"),
        ({"alertmanager": ALERTMANAGER | {"labels": {"a-b": "x"}}}, "labels"),
        ({"alertmanager": ALERTMANAGER | {"tokenFile": "t"}}, "keep one"),
        ({"alertmanager": ALERTMANAGER | {"passwordFile": None}}, "belong together"),
        ({"alertmanager": ALERTMANAGER | {"password": "pw"}}, "password"),
        ({"alertmanager": ALERTMANAGER | {"again": "0s"}}, "again"),
        ({"alertmanager": ALERTMANAGER | {"again": "2h"}}, "again"),
        ({"alertmanager": ALERTMANAGER | {"url": "http://a:b@x"}}, "keep secrets in files"),
    ],
)
def test_an_entry_that_is_wrong_is_a_sentence(
    tmp_path: Path, entry: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        loaded(tmp_path, notify=[entry])


def test_answers_come_in_by_one_url(tmp_path: Path) -> None:
    other = SLACK | {"channel": "C0999"}
    with pytest.raises(ConfigError, match="one request URL"):
        loaded(tmp_path, notify=[{"slack": SLACK}, {"slack": other}])


@pytest.mark.parametrize(
    "alerts", [{}, {"token": "in the file"}, {"tokenFile": ""}, {"tokenFile": "t", "label": "a-b"}]
)
def test_alerts_need_a_file_with_a_token(tmp_path: Path, alerts: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"spec\.alerts"):
        loaded(tmp_path, alerts=alerts)
