"""Every piece of configuration in the how-tos about budgets and freezes works as it stands."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from homeostat.server.config.loader import assemble, parse

MODEL = """
apiVersion: homeostat.dev/v1alpha1
kind: ManagedModel
metadata: {name: m}
spec:
  target: {process: {host: "http://127.0.0.1:9"}}
  metrics: {scrape: [{fromReplicas: true, preset: vllm}]}
  slo: [{name: latency, latency: {below: 250ms}}, {name: errors, errors: {atMost: 1%}}]
"""
HOW_TO = Path(__file__).parents[3] / "docs" / "how-to"
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: str) -> list[str]:
    return BLOCK.findall((HOW_TO / page).read_text(encoding="utf-8"))


def merged(base: Any, over: Any) -> Any:
    if isinstance(base, dict) and isinstance(over, dict):
        return {**base, **{key: merged(base.get(key), value) for key, value in over.items()}}
    return over


@pytest.mark.parametrize("page", ["set-slos-and-budgets.md", "freeze-changes.md"])
def test_a_how_to_says_what_works(page: str) -> None:
    whole = [text for text in blocks(page) if "kind:" in text]
    parts = [text for text in blocks(page) if "kind:" not in text]
    assert whole
    model = yaml.safe_load(MODEL)
    for text in [*parts, "spec: {}"]:
        model = merged(model, yaml.safe_load(text))
        files = "---\n".join([*whole, yaml.safe_dump(model)])
        assert assemble(parse(files.encode(), page)).managed()
