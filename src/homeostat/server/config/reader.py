"""YAML to plain values, with the line of every key: strict, bounded, and nothing clever.

A subset: no anchors, aliases, tags, merge keys or duplicate keys; text is text unless it is a
plain number, `true`, `false` or `null` (so `off`, `no` and `12:30` stay words). Bounded in size,
depth and nodes before anything is built. What the keys mean is `kinds`' business.
Source of the traps: an alias bomb of 395 bytes unfolds to 9^9 leaves; deep nesting exhausts the
stack of every recursive reader; YAML 1.1 reads `no` as false and `12:30` as 750.
"""

import re
from dataclasses import dataclass
from typing import Any, Final

import yaml
from typing_extensions import override
from yaml.composer import Composer
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from homeostat.base.errors import ConfigError

MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 32  # the deepest schema here has 8
MAX_NODES: Final = 20_000
MAX_DOCUMENTS: Final = 1_000
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,18}\Z")
_NUMBER: Final = re.compile(
    r"[-+]?([0-9]{1,18}\.[0-9]{0,18}|\.?[0-9]{1,18})([eE][-+]?[0-9]{1,3})?\Z"
)
_WORDS: Final[dict[str, Any]] = {"": None, "~": None, "null": None, "true": True, "false": False}

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One document of a file.

    Attributes:
        file: The file's name, for messages.
        value: Plain dicts, lists and scalars; None for an empty document.
        lines: Line (from 1) of each key or item, by its path.
    """

    file: str
    value: Any
    lines: dict[Path, int]

    def line(self, path: Path) -> int | None:
        """Return the line of a path or of its closest known parent."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return None


def read(data: bytes, file: str) -> tuple[Document, ...]:
    """Return a file's documents, empty ones left out.

    Args:
        data: The file's bytes.
        file: Its name, for messages.

    Raises:
        ConfigError: It is too large, no UTF-8, no YAML, or uses what is not allowed here.
    """
    if len(data) > MAX_BYTES:
        raise ConfigError(
            f"{file}: {len(data)} bytes; at most {MAX_BYTES} are read. Split it into several files"
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: not UTF-8 ({error}); save it as UTF-8") from error
    try:
        return tuple(_documents(_Loader(text), file))
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}{_place(error)}: {_problem(error)}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{file}: not readable as YAML ({error})") from error


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
        self._refuse(event)
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _Refused(f"more than {MAX_NODES} values; split the file", event.start_mark)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise _Refused(f"nested deeper than {MAX_DEPTH}", event.start_mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def _refuse(self, event: Any) -> None:
        if isinstance(event, yaml.AliasEvent):
            raise _Refused("aliases (*name) are not allowed; write it out", event.start_mark)
        if getattr(event, "anchor", None) is not None:
            raise _Refused("anchors (&name) are not allowed; remove it", event.start_mark)
        if getattr(event, "tag", None) is not None:
            raise _Refused("tags (!name) are not allowed; remove it", event.start_mark)


def _documents(loader: _Loader, file: str) -> list[Document]:
    found: list[Document] = []
    while loader.check_node():
        node = loader.get_node()
        if node is None:
            break
        lines: dict[Path, int] = {}
        value = _plain(node, (), lines)
        if value is not None:
            found.append(Document(file=file, value=value, lines=lines))
        if len(found) > MAX_DOCUMENTS:
            raise _Refused(f"more than {MAX_DOCUMENTS} documents; split the file", node.start_mark)
    return found


def _plain(node: Node, path: Path, lines: dict[Path, int]) -> Any:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, ScalarNode):
        return _scalar(node)
    if isinstance(node, SequenceNode):
        return [_plain(item, (*path, index), lines) for index, item in enumerate(node.value)]
    if not isinstance(node, MappingNode):
        raise _Refused("not a mapping, a list or a value", node.start_mark)
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = _key(key_node)
        if key in result:
            first = lines[*path, key]
            raise _Refused(
                f"key {key!r} twice (first on line {first}); remove one", key_node.start_mark
            )
        lines[*path, key] = key_node.start_mark.line + 1
        result[key] = _plain(value_node, (*path, key), lines)
    return result


def _key(node: Node) -> str:
    if not isinstance(node, ScalarNode):
        raise _Refused("a key must be a word", node.start_mark)
    if node.value == "<<":
        raise _Refused("merge keys (<<) are not allowed; write it out", node.start_mark)
    return str(node.value)


def _scalar(node: ScalarNode) -> Any:
    text = str(node.value)
    if "${" in text:
        raise _Refused("variables (${NAME}) are not expanded; write the value", node.start_mark)
    if node.style is not None:  # quoted or block text is text
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.match(text):
        return int(text)
    return float(text) if _NUMBER.match(text) else text


def _place(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return "" if mark is None else f":{mark.line + 1}"


def _problem(error: yaml.YAMLError) -> str:
    parts = (getattr(error, "context", None), getattr(error, "problem", None))
    text = ", ".join(str(part) for part in parts if part)
    return (text or " ".join(str(error).split()))[:300]
