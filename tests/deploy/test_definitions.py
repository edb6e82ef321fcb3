"""The custom resource definitions: generated, structural, and no stricter than a file is."""

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml
from typer.testing import CliRunner

from homeostat.base.errors import ConfigError
from homeostat.cli.main import app
from homeostat.server.config import crds
from homeostat.server.config.kinds import KINDS
from homeostat.server.config.loader import parse

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "deploy" / "components" / "custom-resources" / "definitions.yaml"
# https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
FORBIDDEN = {
    "$ref", "$schema", "$defs", "definitions", "deprecated", "dependencies", "discriminator", "id",
    "patternProperties", "readOnly", "writeOnly", "uniqueItems", "xml", "const", "prefixItems",
    "anyOf", "oneOf", "allOf", "not", "default", "examples", "title", "propertyNames",
}  # fmt: skip
UNTYPED = "x-kubernetes-preserve-unknown-fields"
FULL = """
apiVersion: homeostat.dev/v1alpha1
kind: ManagedModel
metadata: {name: chat}
spec:
  mode: shadow
  target: {kubernetes: {api: "https://kubernetes.default.svc", namespace: ml, deployment: chat}}
  metrics: {scrape: [{fromReplicas: true, preset: vllm}]}
  slo: [{name: latency, latency: {below: 250ms}}, {name: errors, errors: {atMost: 1%}}]
  guardrails: {limits: {replicas: {min: 2, max: 6, stepDown: 0.25}}, maxTargetsChanging: 10%}
"""


def nodes(schema: Any, path: str = "spec") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every schema inside one, with where it is."""
    yield path, schema
    for key, inner in schema.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{key}")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from nodes(schema["additionalProperties"], f"{path}.*")
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")


@cache
def whole(kind: str) -> dict[str, Any]:
    (found,) = [one for one in crds.crds() if one["spec"]["names"]["kind"] == kind]
    (version,) = found["spec"]["versions"]
    return dict(version["schema"]["openAPIV3Schema"])


@cache
def judge(kind: str) -> jsonschema_rs.Draft4Validator:
    return jsonschema_rs.Draft4Validator(whole(kind))


def accepts(kind: str, document: Any) -> bool:
    """Return whether a schema lets a document in; `exclusiveMinimum: true` is draft 4's way."""
    return judge(kind).is_valid(document)


def test_the_definitions_that_ship_are_those_that_the_command_prints() -> None:
    said = CliRunner().invoke(app, ["schema", "--crds"])
    assert said.exit_code == 0, said.output
    assert KEPT.read_text(encoding="utf-8") == said.stdout, (
        "run `homeostat schema --crds > deploy/components/custom-resources/definitions.yaml`"
    )
    assert list(yaml.safe_load_all(said.stdout)) == crds.crds()


@pytest.mark.parametrize("kind", crds.PLURALS)
def test_a_schema_is_structural(kind: str) -> None:
    for path, node in nodes(whole(kind), kind):
        assert not set(node) & FORBIDDEN, f"{path}: {set(node) & FORBIDDEN}"
        assert ("type" in node) != (UNTYPED in node and "properties" not in node) or (
            node.get("type") == "object"
        ), f"{path} has no type, and does not say that it has none"
        assert not {"properties", "additionalProperties"} <= set(node), path
        assert node.get("additionalProperties") is not False, path
        assert "(?" not in node.get("pattern", ""), f"{path}: RE2 knows no look-around"
        assert node.get("type") != "array" or "items" in node, path
        enum = node.get("enum", [])
        assert len({json.dumps(one) for one in enum}) == len(enum), path


@pytest.mark.parametrize("kind", crds.PLURALS)
def test_what_a_schema_cannot_say_is_named_and_nothing_else_is_left_open(kind: str) -> None:
    named = {path for path, _ in crds.unsaid(kind)}
    open_ends = {
        path for path, node in nodes(whole(kind)["properties"]["spec"]) if "type" not in node
    }
    assert open_ends <= named
    text = KEPT.read_text(encoding="utf-8")
    assert all(f"#   {kind}: {path}: " in text for path in named)


@pytest.mark.parametrize("kind", crds.PLURALS)
def test_a_misspelt_key_is_kept_for_us_to_refuse_and_never_pruned(kind: str) -> None:
    for path, node in nodes(whole(kind)["properties"]["spec"]):
        if "properties" in node:
            assert node[UNTYPED] is True, f"{path} prunes what it does not know"
    document = yaml.safe_load(FULL)
    document["spec"]["guardrails"]["maxActionPerHour"] = 2  # maxActionsPerHour
    assert accepts("ManagedModel", document)
    with pytest.raises(ConfigError, match="did you mean 'maxActionsPerHour'"):
        parse(json.dumps(document).encode(), "chat")


def test_every_kind_of_ours_is_a_resource_or_known_to_be_none() -> None:
    assert set(KINDS) - set(crds.PLURALS) == {"Controller"}
    for one in crds.crds():
        names = one["spec"]["names"]
        assert one["metadata"]["name"] == f"{names['plural']}.{one['spec']['group']}"
        assert re.fullmatch(r"[a-z]{1,63}", names["plural"])


def test_what_a_file_may_say_a_resource_may_say(tmp_path: Path) -> None:
    texts = [FULL, *(path.read_text() for path in (ROOT / "examples").rglob("*.yaml"))]
    seen = set()
    for text in texts:
        for document in yaml.safe_load_all(text):
            if isinstance(document, dict) and document.get("kind") in crds.PLURALS:
                seen.add(document["kind"])
                assert accepts(document["kind"], document), document["metadata"]
    assert seen >= {"ManagedModel", "GuardrailPolicy"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("mode",), "sometimes"),
        (("interval",), 15),
        (("target", "kubernetes", "port"), 0),
        (("slo",), []),
        (("guardrails", "neverBelowReadyReplicas"), 1),
        (("guardrails", "limits", "replicas", "min"), "two"),
        (("target", "kubernetes", "namespace"), "../kube-system"),
    ],
)
def test_what_it_can_say_is_refused_at_the_api_server_and_by_us(
    path: tuple[str, ...], value: object
) -> None:
    document = yaml.safe_load(FULL)
    inner = document["spec"]
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    assert not accepts("ManagedModel", document)
    with pytest.raises(ConfigError):
        parse(json.dumps(document).encode(), "chat")


def test_a_name_that_a_file_may_not_have_a_resource_may_not_have() -> None:
    document = yaml.safe_load(FULL)
    document["metadata"]["name"] = "Chat.v1"
    assert not accepts("ManagedModel", document)


@pytest.mark.parametrize(
    "node",
    [{"type": "string", "contentEncoding": "base64"}, {}, {"allOf": [{"type": "string"}]}],
)
def test_a_schema_that_nobody_thought_about_is_an_error(node: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"spec\.new: no structural schema"):
        crds._Structural()._of(node, ("spec", "new"), ())


def test_a_schema_that_holds_itself_is_an_error() -> None:
    made = crds._Structural()
    made._defs = {"Loop": {"type": "array", "items": {"$ref": "#/$defs/Loop"}}}
    with pytest.raises(ConfigError, match="holds itself"):
        made._of({"$ref": "#/$defs/Loop"}, ("spec",), ())
