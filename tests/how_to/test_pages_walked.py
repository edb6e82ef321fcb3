"""Every platform has a page, a test walks over it, and a walk leaves no block out."""

import ast
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from walking import FOLDER, ROOT, Walk, blocks, replaced

from homeostat import plugins
from homeostat.base.errors import ConfigError
from homeostat.server import planning
from homeostat.server.config.loader import assemble, parse

# What a configuration of one deployment does not name: where the page on it is.
ELSEWHERE: Final = MappingProxyType({
    ("store", "postgres"): "run-two-controllers.md",
    ("notifier", "alertmanager"): "send-and-take-alerts.md",
    ("notifier", "slack"): "send-and-take-alerts.md",
    ("trainer", "mlflow"): "retrain.md",
    ("trainer", "webhook"): "retrain.md",
    ("source", "prometheus"): "connect-prometheus.md",
})
# About Homeostat itself, not about connecting it to something.
OTHERS: Final = frozenset({
    "approve-and-undo.md", "backtest.md", "compare-with-the-twin.md", "detect-in-a-file.md",
    "fit-the-twin.md", "freeze-changes.md", "instrument-your-server.md", "judge-a-canary.md",
    "prove-a-policy.md", "run-in-kubernetes.md", "run-the-lab.md", "set-slos-and-budgets.md",
    "train-a-policy.md", "try-a-version.md", "watch-homeostat.md",
})  # fmt: skip
PAGES: Final = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")}


@cache
def walks() -> dict[str, list[str]]:
    """Return which tests walk over each page: those that call `walking` in their own body."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        if "walking(" in text and path != Path(__file__):
            for name, test in walks_of(ast.parse(text)):
                found.setdefault(name, []).append(f"{path.name}::{test}")
    return found


def walks_of(tree: ast.Module) -> list[tuple[str, str]]:
    """Return each page that a test of a file walks over, and the test."""
    named = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    tests = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [
        (page, test.name)
        for test in tests
        if test.name.startswith("test_")
        for page in walked(test, named)
    ]


def walked(test: ast.FunctionDef, named: Mapping[str, object]) -> list[str]:
    """Return the pages that a test walks over in a `with` of its own."""
    calls = [
        item.context_expr
        for node in ast.walk(test)
        if isinstance(node, ast.With)
        for item in node.items
        if isinstance(item.context_expr, ast.Call)
    ]
    pages: list[str] = []
    for call in calls:
        if isinstance(call.func, ast.Name) and call.func.id == "walking":
            (of,) = call.args
            pages.append(str(of.value if isinstance(of, ast.Constant) else named[ast.unparse(of)]))
    return pages


def configured(text: str) -> set[str]:
    """Return the actuators that the deployments on a page are reached through."""
    found: set[str] = set()
    for block in blocks(text):
        if block.language == "yaml" and "kind: ManagedModel" in block.text:
            try:
                deployments = assemble(parse(block.text.encode(), "page.yaml")).deployments
            except ConfigError as error:
                pytest.fail(f"line {block.line}: {error}")
            for one in deployments:
                found |= {entry.part for entry in planning.deployment_plan(one).actuators}
    return found


def test_every_page_is_walked_or_is_about_homeostat_itself() -> None:
    left = PAGES.keys() - walks().keys() - OTHERS
    assert left == set(), "walk over it in a test, see walking.py"
    assert OTHERS - PAGES.keys() == set()
    assert walks().keys() - PAGES.keys() == set()


def test_every_actuator_is_configured_by_a_page_that_is_walked() -> None:
    shown: set[str] = set()
    for name in walks():
        shown |= configured(PAGES[name])
    assert set(plugins.parts("actuator")) - shown == set(), "give it a page"


@pytest.mark.parametrize(("part", "page"), ELSEWHERE.items(), ids=str)
def test_every_other_platform_is_on_a_page_that_is_walked(part: tuple[str, str], page: str) -> None:
    assert page in walks()
    assert f"{part[1]}:" in PAGES[page]


PAGE = "# A page\n\n```yaml\na: 1\n```\n\n```console\n$ homeostat get presets\n```\n"


def test_a_block_that_nobody_took_fails_the_walk() -> None:
    walk = Walk("page.md", PAGE)
    assert walk.yaml() == {"a": 1}
    with pytest.raises(AssertionError, match=r"no test has taken page\.md:7"):
        walk.end()
    assert walk.commands() == ["homeostat get presets"]
    walk.end()
    with pytest.raises(AssertionError, match=r"page\.md has no block after"):
        walk.yaml()


def test_a_block_out_of_its_order_fails_the_walk() -> None:
    with pytest.raises(AssertionError, match="is 'yaml', not 'console'"):
        Walk("page.md", PAGE).commands()
    with pytest.raises(AssertionError, match="does not say 'b'"):
        Walk("page.md", PAGE).yaml("b")


def test_output_is_no_command_and_a_page_without_an_end_is_none() -> None:
    with pytest.raises(AssertionError, match="NAME"):
        Walk("page.md", "```console\n$ homeostat get\nNAME\n```\n").commands()
    with pytest.raises(AssertionError, match="has no end"):
        blocks("```yaml\na: 1\n")
    with pytest.raises(AssertionError, match="no blocks"):
        Walk("page.md", "# Nothing to do\n")


def test_what_is_replaced_must_be_on_the_page() -> None:
    assert replaced("at 127.0.0.1:8001", {"8001": "9"}) == "at 127.0.0.1:9"
    with pytest.raises(AssertionError, match="does not say '8002'"):
        replaced("at 127.0.0.1:8001", {"8002": "9"})
