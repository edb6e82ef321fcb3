import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from homeostat.base.actions import ActionKind
from homeostat.base.errors import ConfigError
from homeostat.base.policy import GuardPolicy, LeverLimit, Mode
from homeostat.base.units import HOUR, SECOND
from homeostat.server.config import Config, load, schema
from homeostat.server.config.guardrails import Guardrails, lever_name, to_policy
from homeostat.server.config.loader import assemble, parse
from homeostat.server.config.units import duration_ns, money, share, span

ROOT = Path(__file__).parents[3]
MODEL = ROOT / "examples" / "managed-model.yaml"
DEMO = ROOT / "examples" / "policies" / "demo.yaml"

SMALL: dict[str, Any] = {
    "apiVersion": "homeostat.dev/v1alpha1",
    "kind": "ManagedModel",
    "metadata": {"name": "fraud"},
    "spec": {
        "interval": "1s",
        "target": {"process": {"host": "http://127.0.0.1:1"}},
        "metrics": {"scrape": [{"fromReplicas": True, "preset": "p"}]},
        "slo": [
            {"name": "latency", "latency": {"below": "250ms"}},
            {"name": "errors", "errors": {"atMost": "1%"}},
        ],
    },
}


def read(*documents: dict[str, Any]) -> Config:
    text = "\n---\n".join(json.dumps(one) for one in documents)
    return assemble(parse(text.encode(), "f.json"))


def changed(change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    document = copy.deepcopy(SMALL)
    change(document)
    return document


def refusal(*documents: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        read(*documents)
    return str(caught.value)


def rails(**keys: Any) -> dict[str, Any]:
    return changed(lambda document: document["spec"].update(guardrails=keys))


def test_the_shipped_examples_are_good() -> None:
    config = load([MODEL])  # alone: whoever copies it needs nothing of the demo's
    (managed,) = config.managed()
    assert (managed.name, managed.mode, managed.scrape_ns) == ("credit", Mode.SHADOW, SECOND)
    assert managed.objective.latency_p95_ms == 250.0
    assert managed.objective.error_ratio == 0.01
    assert (managed.stable_pool, managed.fallback_pool) == ("a", "b")
    assert managed.guard.cooldown_scrapes == 20.0
    assert managed.guard.budget_usd_per_hour == 15.0
    assert managed.guard.granted_by == ""
    assert managed.guard.auto_kinds == ()
    assert config.controller.store_path == MODEL.parent / "homeostat.db"


def test_every_lever_of_the_demo_policy_has_bounds_and_its_autonomy_is_granted(
    tmp_path: Path,
) -> None:
    model = tmp_path / "model.yaml"
    model.write_text(MODEL.read_text().replace("policy: careful ", "policy: demo "))
    (managed,) = load([model, DEMO]).managed()
    assert managed.guard.cooldown_scrapes == 5.0
    assert managed.guard.granted_by == "whoever starts the demo"
    assert ActionKind.ROLLBACK in managed.guard.auto_kinds
    assert {limit.lever for limit in managed.guard.limits} == {
        "replicas.",
        "weight.",
        "batch_max",
        "batch_wait_ms",
        "concurrency_max",
        "gateway_limit",
    }


def test_shadow_is_the_default_and_nothing_is_granted() -> None:
    (managed,) = read(SMALL).managed()
    assert managed.mode is Mode.SHADOW
    assert managed.guard == GuardPolicy()
    assert managed.traffic_actuator is None


def test_a_folder_is_read_file_by_file(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(MODEL.read_text())
    (tmp_path / "two.yml").write_text(DEMO.read_text())
    (tmp_path / "notes.txt").write_text("not: [yaml")
    config = load([tmp_path])
    assert config.files == (str(tmp_path / "one.yaml"), str(tmp_path / "two.yml"))
    assert config.digest == load([MODEL, DEMO]).digest


def test_the_digest_names_the_content_and_not_its_order() -> None:
    other = changed(lambda document: document["metadata"].update(name="other"))
    assert read(SMALL, other).digest == read(other, SMALL).digest
    assert read(SMALL).digest != read(other).digest
    warm = rails(cooldown="5s")
    assert read(SMALL).managed()[0].policy_digest != read(warm).managed()[0].policy_digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("kind"), "f.json:1: kind: is missing"),
        (lambda d: d.update(kind="Managedmodel"), "did you mean 'ManagedModel'?"),
        (lambda d: d.update(apiVersion="v1"), "apiVersion: 'v1' is not known"),
        (lambda d: d.pop("spec"), "spec: is missing; add it"),
        (lambda d: d["spec"].update(mod="auto"), "spec.mod: unknown key; did you mean 'mode'?"),
        (lambda d: d["spec"].update(mode="Auto"), "spec.mode: 'Auto' is not known; did you mean"),
        (lambda d: d["spec"].update(mode="off"), "known: approve, auto, shadow"),
        (lambda d: d["metadata"].update(name="A b"), "metadata.name: 'A b'"),
        (lambda d: d["metadata"].update(name="x" * 64), "metadata.name"),
        (lambda d: d["spec"].update(interval="1 s"), "spec.interval: '1 s' is no duration"),
        (lambda d: d["spec"].update(interval="0s"), "longer than nothing"),
        (lambda d: d["spec"].update(interval=1), "spec.interval: 1 is no duration"),
        (lambda d: d["spec"].update(slo=[]), "spec.slo"),
        (lambda d: d["spec"]["slo"].pop(), "no errors promise"),
        (lambda d: d["spec"]["slo"].append(d["spec"]["slo"][0]), "latency twice"),
        (lambda d: d["spec"]["slo"][0].update(errors={"atMost": 0.1}), "write one of"),
        (lambda d: d["spec"]["slo"][0]["latency"].update(quantile=0.99), "0.99 is not measured"),
        (lambda d: d["spec"]["slo"][1]["errors"].update(atMost="200%"), "atMost"),
        (lambda d: d["spec"]["target"]["process"].update(host="file:///etc"), "http:// or https"),
        (lambda d: d["spec"]["target"]["process"].update(host="http://a:b@c"), "passwords"),
        (lambda d: d["spec"]["target"].update(pools={"fallback": "a"}), "name two pools"),
        (lambda d: d["spec"]["metrics"]["scrape"][0].update(subject="gateway"), "not both"),
        (lambda d: d["spec"]["metrics"]["scrape"][0].update(subject="gatway"), "subject"),
        (lambda d: d["spec"]["metrics"]["scrape"][0].update(url="http://{x}/"), "{address}"),
        (
            lambda d: d["spec"]["metrics"]["scrape"][0].update(url="http://{address.__class__}/"),
            "only {address}",
        ),
        (
            lambda d: d["spec"]["metrics"]["scrape"][0].update(url="http://{name:>99999999}/"),
            "only {address}",
        ),
        (
            lambda d: d["spec"].update(policy="demmo"),
            "spec.policy: unknown GuardrailPolicy 'demmo'",
        ),
        (lambda d: d["spec"].update(probe={"model": "m", "features": []}), "spec.probe.features"),
        (lambda d: d["spec"].update(probe={"model": "m/../x", "features": [1]}), "probe.model"),
    ],
)
def test_an_error_names_key_value_and_fix(
    change: Callable[[dict[str, Any]], None], message: str
) -> None:
    assert message in refusal(changed(change))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"cooldwon": "5m"}, "spec.guardrails.cooldwon: unknown key; did you mean 'cooldown'?"),
        ({"cooldown": "5"}, "write 250ms, 5m, or a number of scrapes"),
        ({"cooldown": "0 scrapes"}, "more than none"),
        ({"neverBelowReadyReplicas": 1}, "greater than or equal to 2"),
        ({"neverBelowReadyReplicas": "3"}, "neverBelowReadyReplicas"),
        ({"maxTries": 0}, "maxTries"),
        ({"evidenceRules": "no"}, "evidenceRules"),
        ({"maxUtilisation": "120%"}, "maxUtilisation"),
        ({"limits": {"replica": {"min": 1, "max": 2}}}, "unknown lever 'replica'"),
        ({"limits": {"replicas": {"min": 3, "max": 2}}}, "swap them"),
        ({"limits": {"replicas": {"min": 1, "mx": 2}}}, "limits.replicas.mx: unknown key; did you"),
        ({"limits": {"replicas": {"min": 1, "max": 1e999}}}, "limits.replicas.max"),
        ({"autonomy": {"auto": ["scale_up"]}}, "autonomy.grantedBy: is missing"),
        ({"autonomy": {"grantedBy": " ", "auto": ["scale_up"]}}, "name the person"),
        ({"autonomy": {"grantedBy": "x", "auto": ["restart_all"]}}, "cannot be granted"),
        ({"autonomy": {"grantedBy": "x", "auto": ["scaleup"]}}, "did you mean 'scale_up'?"),
        ({"budgetPerHour": "10"}, "'2.10 USD'"),
    ],
)
def test_a_guardrail_that_cannot_be_used_is_named(keys: dict[str, Any], message: str) -> None:
    assert message in refusal(rails(**keys))


def test_all_problems_of_a_document_are_named_at_once() -> None:
    text = refusal(changed(lambda d: d["spec"].update(mod=1, inteval="1s", mode="x")))
    assert text.count("\n") == 2


def test_what_is_said_twice_is_refused_across_files() -> None:
    assert "ManagedModel 'fraud' twice" in refusal(SMALL, SMALL)
    one = {**SMALL, "kind": "Controller", "spec": {}}
    other = {**one, "metadata": {"name": "other"}}
    assert "a second Controller" in refusal(SMALL, one, other)
    assert "no ManagedModel" in refusal(one)


def test_own_guardrails_go_over_the_policy_key_by_key() -> None:
    policy = {
        **SMALL,
        "kind": "GuardrailPolicy",
        "metadata": {"name": "strict"},
        "spec": {"cooldown": "10 scrapes", "maxTries": 2, "approvalTtl": "1m"},
    }
    model = rails(cooldown="7s")
    model["spec"]["policy"] = "strict"
    guard = read(policy, model).managed()[0].guard
    assert (guard.cooldown_scrapes, guard.max_tries) == (7.0, 2)
    assert guard.approval_ttl_scrapes == 60.0
    assert guard.actions_per_hour == GuardPolicy().actions_per_hour


def test_times_become_multiples_of_the_interval() -> None:
    model = rails(cooldown="5m", verify="8 scrapes")
    model["spec"]["interval"] = "15s"
    guard = read(model).managed()[0].guard
    assert (guard.cooldown_scrapes, guard.verify_scrapes) == (20.0, 8.0)


def test_limits_become_the_cores_levers() -> None:
    model = rails(limits={"replicas.b": {"min": 1, "max": 2}, "gatewayLimit": {"min": 8, "max": 9}})
    limits = read(model).managed()[0].guard.limits
    assert limits == (
        LeverLimit(lever="gateway_limit", low=8.0, high=9.0),
        LeverLimit(lever="replicas.b", low=1.0, high=2.0),
    )
    assert lever_name("batchMax.a") is None


def test_everything_the_wiring_needs_is_there() -> None:
    model = changed(
        lambda d: d["spec"].update(
            labels={"path": "/predictions"},
            probe={"model": "m", "features": [1, 2.5], "expectHigh": 1},
            target={
                "process": {"host": "http://127.0.0.1:1/", "timeout": "3s"},
                "envoy": {"admin": "http://127.0.0.1:2"},
                "pools": {"stable": "x", "fallback": "y"},
            },
        )
    )
    config = read(model)
    found = config.deployment("fraud")
    assert found is not None
    assert found is config.deployments[0]
    assert config.deployment("nobody") is None
    assert found.process is not None
    assert (found.process.url, found.process.read_timeout_s) == ("http://127.0.0.1:1", 3.0)
    assert found.envoy is not None
    assert found.envoy.weights == (("y", "traffic.y"),)
    assert found.envoy.limited_clusters == ("x", "y")
    assert found.probe is not None
    assert (found.probe.features, found.probe.timeout_s) == ((1.0, 2.5), 0.8)
    assert found.labels_path == "/predictions"
    assert found.scrape[0].url == "http://{address}/metrics"
    managed = found.managed
    assert (managed.scale_actuator, managed.traffic_actuator) == ("process", "envoy")


@pytest.mark.parametrize(("said", "kept"), [(None, 7 * 24), ("36h", 36), ("1h", 1)])
def test_how_long_signals_are_kept_can_be_said(said: str | None, kept: int) -> None:
    store = {"path": "j.db"} | ({} if said is None else {"retention": said})
    control = {**SMALL, "kind": "Controller", "spec": {"store": store}}
    assert read(SMALL, control).controller.retention_ns == kept * HOUR


def test_a_restart_needs_an_hour_of_what_was() -> None:
    spec = {"store": {"path": "j.db", "retention": "59m"}}
    control = {**SMALL, "kind": "Controller", "spec": spec}
    assert "spec.store.retention: must be at least 1h" in refusal(SMALL, control)


def controller(**api: Any) -> dict[str, Any]:
    return {
        "apiVersion": "homeostat.dev/v1alpha1",
        "kind": "Controller",
        "metadata": {"name": "c"},
        "spec": {"api": api},
    }


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
def test_the_api_listens_where_this_machine_alone_reaches_it(host: str) -> None:
    assert read(SMALL, controller(host=host)).controller.api_host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "::ffff:10.1.2.3"])
def test_an_api_that_others_could_reach_is_refused_where_the_file_is_read(host: str) -> None:
    said = refusal(SMALL, controller(host=host))
    assert "f.json:" in said
    assert f"spec.api.host: {host} can be reached from other machines" in said
    assert "write 127.0.0.1" in said


@pytest.mark.parametrize("host", ["example.org", "127.1", "*"])
def test_a_name_is_no_address_for_the_api(host: str) -> None:
    assert f"spec.api.host: {host!r} is not an IP address" in refusal(SMALL, controller(host=host))


def test_secrets_have_no_place_in_a_file() -> None:
    spec = {"api": {"token": "abc"}}
    control = {**SMALL, "kind": "Controller", "spec": spec}
    assert "spec.api.token: unknown key; did you mean 'tokenFile'?" in refusal(SMALL, control)


def test_every_guard_setting_can_be_said() -> None:
    said = Guardrails.model_validate({
        "evidenceRules": False,
        "freshness": "3 scrapes",
        "minSamples": 7,
        "failedProbes": 4,
        "persistence": 5,
        "neverBelowReadyReplicas": 3,
        "limits": {"batchMax": {"min": 1, "max": 2}},
        "cooldown": "21s",
        "scaleInStabilization": "41s",
        "scaleInWatch": "241s",
        "maxTries": 4,
        "maxActionsPerHour": 7,
        "maxFleetActionsPerHour": 21,
        "maxTargetsChanging": "11%",
        "maxReplicasChanging": "26%",
        "correlatedStop": {"targets": 4, "fleet": 6, "share": "21%", "window": "21s"},
        "maxUtilisation": "81%",
        "budgetPerHour": "1 USD",
        "autonomy": {
            "grantedBy": "ana",
            "auto": ["scale_up"],
            "earn": ["batch_up"],
            "lostOnHarm": False,
        },
        "approvalTtl": "61s",
        "receiptDeadline": "6s",
        "readinessDeadline": "61s",
        "verify": "9s",
        "blind": "21s",
        "rules": [{"name": "calm", "require": "shrunk < 2"}],
    })
    policy, default = to_policy(said, SECOND), GuardPolicy()
    same = {
        name
        for name in GuardPolicy.__dataclass_fields__
        if getattr(policy, name) == getattr(default, name)
    }
    assert same == {"frozen", "unproved"}  # the freezes and the proof say these


@pytest.mark.parametrize(
    ("text", "ns"), [("250ms", 250_000_000), ("1.5s", 1_500_000_000), ("2d", 172_800 * SECOND)]
)
def test_durations(text: str, ns: int) -> None:
    assert duration_ns(text) == ns


@settings(max_examples=300)
@given(
    st.text(max_size=12)
    | st.floats()
    | st.integers()
    | st.none()
    | st.lists(st.text())
    | st.from_regex(r"[0-9]{1,12}(\.[0-9]+)?(ms|s|m|h|d|%| scrapes| USD)\Z")
)
def test_a_unit_is_understood_or_refused(value: Any) -> None:
    for reader in (duration_ns, span, share, money):
        try:
            reader(value)
        except ValueError as error:
            assert "\n" not in str(error).replace(repr(value), "")  # noqa: PT017 - a sentence


def test_the_schema_is_strict_and_speaks_of_every_kind() -> None:
    found = schema()
    assert {"ManagedModel", "GuardrailPolicy", "Freeze", "Controller"} <= set(found["$defs"])
    objects = [one for one in found["$defs"].values() if one.get("type") == "object"]
    assert objects
    assert all(one["additionalProperties"] is False for one in objects)
    json.dumps(found)


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load([tmp_path / "no.yaml"])
    with pytest.raises(ConfigError, match="no configuration file"):
        load([])
    with pytest.raises(ConfigError, match=r"no \.yaml"):
        load([tmp_path])
    with pytest.raises(ConfigError):
        load(["a\0b"])


# --- no input crashes with anything but ConfigError -------------------------------------------

ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=10)
    | st.sampled_from([
        "1s",
        "auto",
        "{",
        "{address}",
        "http://",
        "http://[",
        "10%",
        "1e400",
        "-1",
    ]),
    lambda of: st.lists(of, max_size=3) | st.dictionaries(st.text(max_size=6), of, max_size=3),
    max_leaves=6,
)


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [at]
    if isinstance(value, dict):
        for key, inner in value.items():
            found += paths(inner, (*at, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found += paths(inner, (*at, index))
    return found


WHOLE = [*yaml.safe_load_all(MODEL.read_text()), *yaml.safe_load_all(DEMO.read_text())]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_spoilt_document_is_used_or_refused_with_a_sentence(data: st.DataObject) -> None:
    documents = copy.deepcopy(WHOLE)
    for _ in range(data.draw(st.integers(1, 3))):
        index = data.draw(st.integers(0, len(documents) - 1))
        where = [one for one in paths(documents[index]) if one]
        if not where:
            continue
        path = data.draw(st.sampled_from(where))
        inside: Any = documents[index]
        for step in path[:-1]:
            inside = inside[step]
        if data.draw(st.booleans()) and isinstance(inside, dict):
            inside[data.draw(st.text(max_size=8))] = data.draw(ODD)
        inside[path[-1]] = data.draw(ODD)
    text = "\n---\n".join(json.dumps(one) for one in documents)
    try:
        config = assemble(parse(text.encode("utf-8", "replace"), "f.json"))
    except ConfigError as error:
        assert str(error)  # noqa: PT017 - any other exception fails the test
    else:
        assert config.managed()
        assert len(config.digest) == 64
