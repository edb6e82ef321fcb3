"""What a resource may name files of holds nothing that the Controller itself is let in by."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
CONTROLLERS = tuple(sorted((DEPLOY / "variants").glob("*/config/controller.yaml")))
WITH_RESOURCES = ("custom-resources", "two-controllers")


def _texts(found: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Yield each text of a document, and where it stands."""
    if isinstance(found, dict):
        for key, value in found.items():
            yield from _texts(value, f"{where}.{key}")
    elif isinstance(found, list):
        for value in found:
            yield from _texts(value, f"{where}[]")
    elif isinstance(found, str):
        yield where, found


def _mounts(*files: str) -> dict[str, str]:
    """Return the folders that come from Secrets, and which Secret it is."""
    found: dict[str, str] = {}
    for file in files:
        text = (DEPLOY / file).read_text(encoding="utf-8")
        spec = yaml.safe_load(text)["spec"]["template"]["spec"]
        secrets = {one["name"]: one["secret"] for one in spec["volumes"] if "secret" in one}
        for mount in spec["containers"][0]["volumeMounts"]:
            if mount["name"] in secrets:
                found[mount["mountPath"]] = secrets[mount["name"]]["secretName"]
    return found


@pytest.mark.parametrize("file", CONTROLLERS, ids=lambda one: one.parts[-3])
def test_no_file_of_the_controller_lies_where_resources_may_name_files(file: Path) -> None:
    spec = yaml.safe_load(file.read_text(encoding="utf-8"))["spec"]
    resources = spec.get("cluster", {}).get("resources")
    assert (resources is not None) is (file.parts[-3] in WITH_RESOURCES)
    if resources is None:
        return
    folder = PurePosixPath(resources.pop("files"))
    inside = [where for where, text in _texts(spec) if f"{folder}" in text]
    assert inside == []
    base = _mounts("base/deployment.yaml")
    assert not any(
        folder.is_relative_to(other) or PurePosixPath(other).is_relative_to(folder)
        for other in base
    )
    mine = _mounts("components/custom-resources/deployment.yaml")[f"{folder}"]
    assert mine not in base.values()


def test_every_variant_that_says_resources_is_looked_at() -> None:
    assert {file.parts[-3] for file in CONTROLLERS} >= set(WITH_RESOURCES)
