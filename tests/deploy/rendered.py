"""The variants as `kubectl kustomize` renders them, and what Kubernetes' published fields say."""

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
VARIANTS = tuple(sorted(path.name for path in (DEPLOY / "variants").iterdir()))
FIELDS = json.loads((Path(__file__).parent / "kubernetes_fields.json").read_text(encoding="utf-8"))
MODELS: dict[str, dict[str, tuple[str, bool]]] = FIELDS["models"]
PLAIN: dict[str, tuple[type, ...]] = {
    "StrictStr": (str,),
    "StrictInt": (int,),
    "StrictBool": (bool,),
    "StrictFloat": (float, int),
    "datetime": (str,),
}
Object = dict[str, Any]


@cache
def without_kustomize() -> str:
    """Return why nothing can be rendered here, empty if it can; Debian 12's kubectl is too old."""
    if shutil.which("kubectl") is None:
        return "kubectl is not installed"
    command = ["kubectl", "version", "--client", "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    found = re.search(r'"kustomizeVersion": *"v([0-9]+)', done.stdout)
    if found is None or int(found[1]) < 5:
        return "kubectl's kustomize is older than 5, as that of Kubernetes 1.26 and before"
    return ""


@cache
def rendered(variant: str) -> tuple[Object, ...]:
    """Return a variant's objects; skips where there is no kubectl."""
    if problem := without_kustomize():
        pytest.skip(problem)
    command = ["kubectl", "kustomize", str(DEPLOY / "variants" / variant)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # nothing deprecated
    return tuple(yaml.safe_load_all(done.stdout))


def of_kind(variant: str, kind: str) -> list[Object]:
    return [one for one in rendered(variant) if one["kind"] == kind]


def only(variant: str, kind: str) -> Object:
    (found,) = of_kind(variant, kind)
    return found


def problems(obj: Object) -> list[str]:
    """Return what of an object Kubernetes' fields do not have, or have otherwise."""
    if obj["apiVersion"] == "events.k8s.io/v1":
        return judged(obj, "EventsV1Event", "Event")
    return judged(obj, f"V1{obj['kind']}", obj["kind"])


def judged(value: Any, kind: str, path: str) -> list[str]:
    if kind in MODELS:
        return judged_fields(value, MODELS[kind], path)
    inner = re.fullmatch(r"List\[(.*)\]", kind)
    if inner:
        if not isinstance(value, list):
            return [f"{path} is no list"]
        return [one for item in value for one in judged(item, inner[1], f"{path}[]")]
    inner = re.fullmatch(r"Dict\[str, (.*)\]", kind)
    if inner and inner[1] != "Any":
        if not isinstance(value, dict):
            return [f"{path} is no mapping"]
        return [one for item in value.values() for one in judged(item, inner[1], f"{path}.*")]
    words = [word for word in re.findall(r"\w+", kind) if word != "Union"]
    if all(word in PLAIN for word in words):
        kinds = tuple(one for word in words for one in PLAIN[word])
        odd = isinstance(value, bool) and bool not in kinds
        return [] if isinstance(value, kinds) and not odd else [f"{path}: {value!r} is no {kind}"]
    return []  # Any: a custom resource definition's schema, a managed field


def judged_fields(value: Any, fields: dict[str, tuple[str, bool]], path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path} is no object"]
    said = [f"{path}.{key} is no field" for key in value if key not in fields]
    said += [
        f"{path}.{key} is missing" for key, (_, need) in fields.items() if need and key not in value
    ]
    for key, inner in value.items():
        if key in fields:
            said += judged(inner, fields[key][0], f"{path}.{key}")
    return said
