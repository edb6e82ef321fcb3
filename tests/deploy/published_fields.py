"""Kubernetes' published fields, out of the models of its own Python client; run once a release.

    python published_fields.py kubernetes-VERSION.whl > kubernetes_fields.json

The client's models are generated from the OpenAPI document of Kubernetes itself. Kept is, for each
kind that the manifests use and for all that is inside it: its fields, their types, and whether they
must be there. The models are read, not imported.
"""

import ast
import json
import re
import sys
import zipfile
from typing import Any

ROOTS = (
    "V1Namespace", "V1ServiceAccount", "V1Deployment", "V1Service", "V1NetworkPolicy", "V1Secret",
    "V1PodDisruptionBudget", "V1ConfigMap", "V1PersistentVolumeClaim", "V1Role", "V1RoleBinding",
    "V1Lease", "V1CustomResourceDefinition", "EventsV1Event",
)  # fmt: skip
MODELS = "kubernetes/client/models/"
RELEASE = re.compile(r"version of the OpenAPI document: (\S+)")
Fields = dict[str, tuple[str, bool]]


def fields_of(text: str) -> dict[str, Fields]:
    """Return the fields of every model in a file: name as written, type, whether it must be."""
    found = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef):
            fields = dict(one for line in node.body if (one := field_of(line)) is not None)
            if fields:
                found[node.name] = fields
    return found


def field_of(node: ast.stmt) -> tuple[str, tuple[str, bool]] | None:
    if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
        return None
    kind = ast.unparse(node.annotation)
    if kind.startswith("ClassVar"):
        return None
    alias, call = node.target.id, node.value
    keywords = call.keywords if isinstance(call, ast.Call) else []
    for keyword in keywords:
        if keyword.arg in {"alias", "serialization_alias"} and isinstance(
            keyword.value, ast.Constant
        ):
            alias = str(keyword.value.value).lstrip("_")  # `_from`: Python has words of its own
    needed = kind != "Any" and not kind.startswith("Optional")
    return alias, (re.sub(r"Optional\[(.*)\]", r"\1", kind), needed)


def closure(known: dict[str, Fields]) -> dict[str, Fields]:
    """Return the models that the roots reach, the roots among them."""
    reached: dict[str, Fields] = {}
    left = list(ROOTS)
    while left:
        name = left.pop()
        if name in reached:
            continue
        reached[name] = known[name]
        text = " ".join(kind for kind, _ in known[name].values())
        left += [word for word in re.findall(r"\w+", text) if word in known]
    return dict(sorted(reached.items()))


def main(wheel: str) -> dict[str, Any]:
    known: dict[str, Fields] = {}
    release = ""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.startswith(MODELS) and name.endswith(".py"):
                text = archive.read(name).decode()
                known |= fields_of(text)
                release = (RELEASE.search(text) or [release, release])[1]
    return {"release": release, "models": closure(known)}


if __name__ == "__main__":
    print(
        json.dumps(main(sys.argv[1]), separators=(",", ":"), sort_keys=True).replace("},", "},\n")
    )
