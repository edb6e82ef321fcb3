"""YAML to plain values that know their lines: strict, bounded, and nothing clever.

No anchors, aliases, tags, merge keys or duplicate keys; text is text unless it is a plain number,
`true`, `false` or `null`. Bounded in size, depth and nodes before anything is built, because an
alias bomb of 400 bytes unfolds to 9^9 leaves and deep nesting exhausts every recursive reader.
What the keys mean is `scenario_schema`'s business. The server reads its own files; it may not
import the lab, nor the lab the server.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml
from typing_extensions import override
from yaml.composer import Composer
from yaml.nodes import MappingNode, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from homeostat.lab.scenario_errors import ScenarioError

MAX_BYTES: Final = 1024 * 1024  # the whole catalogue has 100 KB
MAX_DEPTH: Final = 16  # the deepest schema here has 7
MAX_NODES: Final = 20_000  # the whole catalogue has 4,000
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,18}\Z")
_NUMBER: Final = re.compile(
    r"[-+]?([0-9]{1,18}\.[0-9]{0,18}|\.?[0-9]{1,18})([eE][-+]?[0-9]{1,3})?\Z"
)
_WORDS: Final[Mapping[str, Any]] = {
    "": None, "~": None, "null": None, "true": True, "false": False,
}  # fmt: skip

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A value and where it stands.

    Attributes:
        value: A mapping of nodes, a tuple of nodes, or a scalar.
        line: From 1.
        keys: Line of each key, for a mapping.
    """

    value: "Mapping[str, Node] | tuple[Node, ...] | Scalar"
    line: int
    keys: Mapping[str, int] = field(default_factory=dict)


def read(data: bytes | str, file: str) -> tuple[Node, ...]:
    """Return a file's documents, empty ones left out.

    Args:
        data: The file's bytes or text.
        file: Its name, for messages.

    Raises:
        ScenarioError: It is too large, no UTF-8, no YAML, or uses what is not allowed here.
    """
    if len(data) > MAX_BYTES:
        raise ScenarioError(
            file, 1, f"{len(data)} bytes; at most {MAX_BYTES} are read. Split it into several files"
        )
    try:
        text = data if isinstance(data, str) else data.decode("utf-8")
        return tuple(_documents(_Loader(text)))
    except UnicodeDecodeError as error:
        raise ScenarioError(file, 1, f"not UTF-8 (byte {error.start}); save it as UTF-8") from error
    except yaml.YAMLError as error:
        raise ScenarioError(file, _line(error), _problem(error)) from error
    except (ValueError, RecursionError) as error:
        raise ScenarioError(file, 1, f"not readable as YAML ({error})") from error


class _Refused(yaml.MarkedYAMLError):
    """YAML that is well formed and not allowed here."""

    def __init__(self, problem: str, mark: Any) -> None:
        super().__init__(problem=problem, problem_mark=mark)


class _Loader(Reader, Scanner, Parser, Composer, BaseResolver):
    """PyYAML's composer with bounds; it constructs nothing."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseResolver.__init__(self)
        self._depth = 0
        self._nodes = 0

    @override
    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose one node within the bounds.

        Raises:
            _Refused: It is beyond them, or not allowed here.
        """
        event = self.peek_event()  # type: ignore[no-untyped-call]  # PyYAML's stubs
        _refuse(event)
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _Refused(f"more than {MAX_NODES} values; split the file", event.start_mark)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _Refused(f"nested deeper than {MAX_DEPTH}; flatten it", event.start_mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _refuse(event: Any) -> None:
    if isinstance(event, yaml.AliasEvent):
        raise _Refused("aliases (*name) are not allowed; write it out", event.start_mark)
    if getattr(event, "anchor", None) is not None:
        raise _Refused("anchors (&name) are not allowed; remove it", event.start_mark)
    if getattr(event, "tag", None) is not None:
        raise _Refused("tags (!name) are not allowed; remove it", event.start_mark)


def _documents(loader: _Loader) -> list[Node]:
    found: list[Node] = []
    while loader.check_node():
        node = _node(loader.get_node())
        if node.value is not None:
            found.append(node)
    return found


def _node(node: Any) -> Node:
    line = node.start_mark.line + 1
    if isinstance(node, ScalarNode):
        return Node(value=_scalar(node), line=line)
    if isinstance(node, SequenceNode):
        return Node(value=tuple(_node(item) for item in node.value), line=line)
    if not isinstance(node, MappingNode):
        raise _Refused("not a mapping, a list or a value", node.start_mark)
    values: dict[str, Node] = {}
    keys: dict[str, int] = {}
    for key_node, value_node in node.value:
        key = _key(key_node)
        if key in keys:
            raise _Refused(
                f"key {key!r} twice (first on line {keys[key]}); remove one", key_node.start_mark
            )
        keys[key] = key_node.start_mark.line + 1
        values[key] = _node(value_node)
    return Node(value=values, line=line, keys=keys)


def _key(node: Any) -> str:
    if not isinstance(node, ScalarNode):
        raise _Refused("a key must be a word", node.start_mark)
    if node.value == "<<":
        raise _Refused("merge keys (<<) are not allowed; write it out", node.start_mark)
    return str(node.value)


def _scalar(node: ScalarNode) -> Scalar:
    text = str(node.value)
    if node.style is not None:  # quoted or block text is text
        return text
    if text in _WORDS:
        word: Scalar = _WORDS[text]
        return word
    if _INTEGER.match(text):
        return int(text)
    return float(text) if _NUMBER.match(text) else text


def _line(error: yaml.YAMLError) -> int:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return 1 if mark is None else int(mark.line) + 1


def _problem(error: yaml.YAMLError) -> str:
    parts = (getattr(error, "context", None), getattr(error, "problem", None))
    text = ", ".join(str(part) for part in parts if part)
    return (text or " ".join(str(error).split()))[:300]
