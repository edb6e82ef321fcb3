"""CustomResourceDefinitions out of the schema of the files: the same document, kept by Kubernetes.

A structural schema (apiextensions.k8s.io/v1) says less than ours does. Where it says less it lets
more in, and what it let in is read as strictly as a file: the status of the resource says what is
wrong with it. Three things are on purpose. Unknown keys are kept, not pruned: a guard whose key is
misspelt must be refused, not vanish. No defaults: a default that the API server writes would look
like the author's word, and go over the policy that is named. No conversion: there is one version.
"""

from collections.abc import Iterator
from typing import Any, Final

from homeostat.base.errors import ConfigError
from homeostat.server.config.kinds import API, KINDS
from homeostat.server.config.loader import schema

GROUP, VERSION = API.split("/")
PLURALS: Final = {
    "ManagedModel": ("managedmodels", "hm"),
    "GuardrailPolicy": ("guardrailpolicies", "hgp"),
    "Freeze": ("freezes", "hfz"),
}
"""Kinds that may be custom resources, with their plural and short name. A `Controller` says where
such resources are read, so it is a file; `openslo/v1` is no group that Kubernetes would take."""

_KEPT: Final = frozenset({
    "type", "description", "enum", "pattern", "format", "minimum", "maximum", "multipleOf",
    "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "required",
})  # fmt: skip
_DROPPED: Final = frozenset({"title", "default", "examples"})
_UNTYPED: Final = {"x-kubernetes-preserve-unknown-fields": True}
_NULL: Final = {"type": "null"}
_ROOT: Final = "spec"
Schema = dict[str, Any]
Unsaid = tuple[str, str]
"""A key's path, and what a structural schema cannot say of it."""


def crds() -> list[Schema]:
    """Return one definition for each kind.

    Raises:
        ConfigError: The schema of the files has something that nobody has thought about here.
    """
    return [_definition(kind, *names) for kind, names in PLURALS.items()]


def unsaid(kind: str) -> list[Unsaid]:
    """Return what of a kind is checked by us alone, key by key, besides rules between keys."""
    return sorted(set(_Structural().read(kind)[1]))


def _definition(kind: str, plural: str, short: str) -> Schema:
    spec, _ = _Structural().read(kind)
    names = {
        "kind": kind,
        "listKind": f"{kind}List",
        "plural": plural,
        "singular": kind.lower(),
        "shortNames": [short],
        "categories": ["homeostat"],
    }
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": _columns(kind),
        "schema": {"openAPIV3Schema": _whole(kind, spec)},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
    }


def _columns(kind: str) -> list[Schema]:
    said = [("Accepted", _condition("Accepted")), ("In force", _condition("InForce"))]
    if kind == "ManagedModel":
        said = [("Mode", ".status.mode"), ("Healthy", _condition("Healthy")), *said]
    columns = [{"name": name, "type": "string", "jsonPath": path} for name, path in said]
    return [*columns, {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]


def _condition(name: str) -> str:
    return f".status.conditions[?(@.type=='{name}')].status"


def _whole(kind: str, spec: Schema) -> Schema:
    named = KINDS[kind].model_json_schema()["$defs"]["Metadata"]["properties"]["name"]
    name = {"type": "string", "pattern": named["pattern"]}
    return {
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object", "properties": {"name": name}},
            "spec": spec,
            "status": _status(),
        },
    }


def _status() -> Schema:
    text = {"type": "string"}
    whole = {"type": "integer", "format": "int64"}
    condition = {
        "type": "object",
        "required": ["type", "status", "reason", "message", "lastTransitionTime"],
        "properties": {
            "type": text,
            "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
            "reason": text,
            "message": text,
            "lastTransitionTime": {"type": "string", "format": "date-time"},
            "observedGeneration": whole,
        },
    }
    return {
        "type": "object",
        "description": "Written by Homeostat.",
        "properties": {
            "observedGeneration": whole,
            "mode": text,
            "conditions": {
                "type": "array",
                "items": condition,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
            },
        },
    }


class _Structural:
    """Rewrites a kind's `spec`; whatever it does not know is an error, not left out."""

    def __init__(self) -> None:
        self._defs: dict[str, Schema] = schema()["$defs"]
        self._unsaid: list[Unsaid] = []

    def read(self, kind: str) -> tuple[Schema, list[Unsaid]]:
        """Return the structural schema of a kind's spec, and what it could not say."""
        spec = self._defs[kind]["properties"]["spec"]
        return self._of(spec, (_ROOT,), ()), self._unsaid

    def _of(self, node: Schema, path: tuple[str, ...], inside: tuple[str, ...]) -> Schema:
        """Return one node.

        Args:
            node: As the files' schema has it.
            path: Where it is.
            inside: The definitions that it is within: one that holds itself has no end.

        Raises:
            ConfigError: It has no structural form that is known here.
        """
        node = dict(node)
        if "$ref" in node:
            name = node.pop("$ref").rpartition("/")[2]
            if name in inside:
                raise ConfigError(f"{'.'.join(path)}: {name} holds itself, which no CRD can say")
            return self._of(self._defs[name] | node, path, (*inside, name))
        if "anyOf" in node:
            return self._any(node, path, inside)
        if node.get("type") == "null":  # no type of OpenAPI 3.0: the API server refuses all of it
            self._unsaid.append((".".join(path), "that it must be null"))
            return {"nullable": True, **_UNTYPED}
        out = {key: value for key, value in node.items() if key in _KEPT}
        if "const" in node:
            out["enum"] = [node["const"]]
        out |= _exclusive(node)
        rest = self._inner(node, path, inside, out)
        odd = rest - _KEPT - _DROPPED - {"const", "exclusiveMinimum", "exclusiveMaximum"}
        if odd or "type" not in out:
            raise ConfigError(f"{'.'.join(path)}: no structural schema for {sorted(odd) or node}")
        return out

    def _any(self, node: Schema, path: tuple[str, ...], inside: tuple[str, ...]) -> Schema:
        said = [one for one in node["anyOf"] if one != _NULL]
        about = {key: node[key] for key in ("description",) if key in node}
        empty = {"nullable": True} if len(said) < len(node["anyOf"]) else {}
        if len(said) == 1:
            return self._of(said[0], path, inside) | about | empty
        kinds = " or ".join(str(one.get("type", "an object")) for one in said)
        self._unsaid.append((".".join(path), f"that it is {kinds}, and which values it may have"))
        return about | empty | _UNTYPED

    def _inner(
        self, node: Schema, path: tuple[str, ...], inside: tuple[str, ...], out: Schema
    ) -> set[str]:
        """Add what is inside a node to `out`; return the keys of the node that are left."""
        rest = set(node)
        if node.get("type") == "array":
            out["items"] = self._of(node["items"], (*path[:-1], f"{path[-1]}[]"), inside)
            rest.discard("items")
        if node.get("type") == "object":
            rest -= {"properties", "additionalProperties", "patternProperties"}
            out |= self._object(node, path, inside)
        return rest

    def _object(self, node: Schema, path: tuple[str, ...], inside: tuple[str, ...]) -> Schema:
        if "properties" in node:
            found = {
                key: self._of(value, (*path, key), inside)
                for key, value in node["properties"].items()
            }
            return {"properties": found, **_UNTYPED}
        patterns = node.get("patternProperties", {})
        more = node.get("additionalProperties")
        if len(patterns) == 1:
            ((pattern, more),) = patterns.items()
            self._unsaid.append((".".join(path), f"that its keys match {pattern}"))
        if isinstance(more, dict):
            return {"additionalProperties": self._of(more, (*path, "*"), inside)}
        return dict(_UNTYPED)


def _exclusive(node: Schema) -> Iterator[tuple[str, Any]]:
    """Yield open ends as OpenAPI 3.0 says them: a bound, and that it is not among the values."""
    for bound in ("minimum", "maximum"):
        key = f"exclusive{bound.capitalize()}"
        if key in node:
            yield bound, node[key]
            yield key, True
