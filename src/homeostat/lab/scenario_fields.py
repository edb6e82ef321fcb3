"""Strict reading of one mapping: known keys only, and an error that names line, value and fix.

The words of scenarios are in `scenario_schema`; here are only the ways to take a value.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeVar

from homeostat.lab.scenario import Choice, Param, Range, Spec, fixed
from homeostat.lab.scenario_errors import ScenarioError, close_to, shown
from homeostat.lab.scenario_text import Node

LOG_FROM: Final = 10.0  # a range over at least this ratio is drawn evenly in the logarithm
_PAIR: Final = 2
_UNIT: Final = re.compile(r"([+-]?\d+(?:\.\d+)?) ?[a-zA-Z%]+$")  # a number with a unit
_E = TypeVar("_E", bound=Enum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """The keys of one mapping.

    Attributes:
        file: For messages.
        node: The mapping.
        what: What it is, for messages.
    """

    file: str
    node: Node
    what: str

    def __post_init__(self) -> None:
        if not isinstance(self.node.value, dict):
            raise self.error(
                self.node.line, f"{self.what} must be a mapping, got {plain(self.node)}"
            )

    def __contains__(self, key: str) -> bool:
        return key in self._values()

    def _values(self) -> dict[str, Node]:
        return self.node.value if isinstance(self.node.value, dict) else {}

    def error(self, line: int, problem: str) -> ScenarioError:
        """Return an error at a line of this file."""
        return ScenarioError(self.file, line, problem)

    def line(self, key: str = "") -> int:
        """Return the line of a key, or of the mapping."""
        return self.node.keys.get(key, self.node.line)

    def only(self, known: Iterable[str]) -> None:
        """Refuse keys that are not known.

        Raises:
            ScenarioError: There is one.
        """
        names = tuple(known)
        for key in self._values():
            if key not in names:
                raise self.error(
                    self.line(key), f"{self.what}: unknown key {key!r}; {close_to(key, names)}"
                )

    def get(self, key: str) -> Node:
        """Return a value that must be there.

        Raises:
            ScenarioError: It is missing.
        """
        found = self._values().get(key)
        if found is None or found.value is None:
            raise self.error(self.line(key), f"{self.what}: {key!r} is missing; add it")
        return found

    def text(self, key: str, default: str | None = None) -> str:
        """Return a text.

        Raises:
            ScenarioError: It is missing or no text.
        """
        if default is not None and key not in self:
            return default
        value = self.get(key).value
        if not isinstance(value, str):
            raise self.error(
                self.line(key),
                f"{self.what}: {key!r} must be text, got {plain(self.get(key))}; quote it",
            )
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false.

        Raises:
            ScenarioError: It is neither.
        """
        if key not in self:
            return default
        value = self.get(key).value
        if not isinstance(value, bool):
            raise self.error(
                self.line(key),
                f"{self.what}: {key!r} must be true or false, got {plain(self.get(key))}",
            )
        return value

    def enum(self, key: str, kind: type[_E], default: _E | None = None) -> _E:
        """Return a member of an enumeration by its value.

        Raises:
            ScenarioError: There is no such member.
        """
        if default is not None and key not in self:
            return default
        value = self.text(key)
        for member in kind:
            if member.value == value:
                return member
        known = (str(member.value) for member in kind)
        raise self.error(
            self.line(key), f"{self.what}: {key} {value!r} is not known; {close_to(value, known)}"
        )

    def items(self, key: str) -> tuple[Node, ...]:
        """Return a list, empty if it is not there.

        Raises:
            ScenarioError: It is no list.
        """
        if key not in self:
            return ()
        value = self.get(key).value
        if not isinstance(value, tuple):
            raise self.error(
                self.line(key), f"{self.what}: {key!r} must be a list, got {plain(self.get(key))}"
            )
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts.

        Raises:
            ScenarioError: An item is no text.
        """
        found = []
        for item in self.items(key):
            if not isinstance(item.value, str):
                raise self.error(
                    item.line, f"{self.what}: {key} holds {plain(item)}; quote it to make it text"
                )
            found.append(item.value)
        return tuple(found)

    def mapping(self, key: str) -> Iterator[tuple[str, int, Node]]:
        """Yield name, line and value of a mapping, nothing if it is not there.

        Raises:
            ScenarioError: It is no mapping.
        """
        if key in self:
            inner = Fields(file=self.file, node=self.get(key), what=f"{self.what}: {key}")
            for name, node in inner._values().items():
                yield name, inner.line(name), node

    def spec(self, key: str) -> Spec | None:
        """Return a number or how it is drawn; None if it is not there."""
        return spec(self.get(key), self.file, f"{self.what}: {key}") if key in self else None


def spec(node: Node, file: str, what: str) -> Spec:
    """Return how a number is drawn: `3`, `[1, 5]`, `{choose: [1, 2]}`, `{low:, high:}`, a name.

    Raises:
        ScenarioError: It is none of these.
    """
    value = node.value
    if isinstance(value, str):
        return Param(name=value)
    if isinstance(value, tuple):
        if len(value) != _PAIR:
            raise ScenarioError(
                file,
                node.line,
                f"{what}: a list is a range of two numbers, got {len(value)}; "
                "write [low, high] or {choose: [...]}",
            )
        return _range(value[0], value[1], file, what)
    if isinstance(value, dict):
        return _long_form(Fields(file=file, node=node, what=what))
    return fixed(number(node, file, what))


def _long_form(fields: Fields) -> Spec:
    if "choose" in fields:
        fields.only(("choose",))
        options = tuple(number(item, fields.file, fields.what) for item in fields.items("choose"))
        if not options:
            raise fields.error(fields.line("choose"), f"{fields.what}: nothing to choose from")
        return Choice(options=options)
    fields.only(("low", "high", "scale", "whole"))
    found = _range(fields.get("low"), fields.get("high"), fields.file, fields.what)
    log = found.log
    if "scale" in fields:
        scale = fields.text("scale")
        if scale not in {"log", "linear"}:
            raise fields.error(fields.line("scale"), f"{fields.what}: scale is log or linear")
        log = scale == "log"
    if log and found.low <= 0:
        raise fields.error(
            fields.line("scale"), f"{fields.what}: a log scale needs low > 0; use scale: linear"
        )
    whole = fields.flag("whole", default=False)
    if whole and (found.low % 1 or found.high % 1):
        raise fields.error(fields.line("whole"), f"{fields.what}: whole needs whole low and high")
    return Range(low=found.low, high=found.high, log=log, whole=whole)


def _range(low_node: Node, high_node: Node, file: str, what: str) -> Range:
    low, high = number(low_node, file, what), number(high_node, file, what)
    if high < low:
        raise ScenarioError(
            file, low_node.line, f"{what}: [{low:g}, {high:g}] runs backwards; swap them"
        )
    return Range(low=low, high=high, log=log_by_default(low, high))


def log_by_default(low: float, high: float) -> bool:
    """Return whether `[low, high]` is drawn evenly in the logarithm."""
    return low > 0 and high >= LOG_FROM * low


def number(node: Node, file: str, what: str) -> float:
    """Return a finite number.

    Raises:
        ScenarioError: It is no number, or not finite.
    """
    value = node.value
    if isinstance(value, bool) or not isinstance(value, int | float):
        hint = "; NaN and infinity are no magnitudes" if _not_finite(value) else ""
        raise ScenarioError(file, node.line, f"{what}: need a number, got {plain(node)}{hint}")
    if not math.isfinite(value):
        raise ScenarioError(file, node.line, f"{what}: {value} is not finite; write a number")
    return float(value)


def _not_finite(value: object) -> bool:
    return isinstance(value, str) and value.strip(".+-").lower() in {"nan", "inf", "infinity"}


def plain(node: Node) -> str:
    """Return a node's value as a message shows it."""
    if isinstance(node.value, dict):
        return "a mapping"
    return "a list" if isinstance(node.value, tuple) else shown(node.value)


def bounds(given: Spec, params: dict[str, Spec]) -> tuple[float, float]:
    """Return the least and the greatest number that a specification may come to."""
    if isinstance(given, Param):
        return bounds(params[given.name], {})
    if isinstance(given, Choice):
        return min(given.options), max(given.options)
    return given.low, given.high


def check(
    given: Spec, limits: tuple[float, float], params: Mapping[str, Spec], fields: Fields, key: str
) -> None:
    """Refuse a specification that may leave its limits, or names no parameter.

    Raises:
        ScenarioError: It may.
    """
    line = fields.line(key)
    if isinstance(given, Param) and given.name not in params:
        hint = close_to(given.name, params) if params else "there are no params"
        if _not_finite(given.name):
            hint = "NaN and infinity are no magnitudes"
        elif (number := _UNIT.match(given.name)) is not None:
            hint = f"no unit is read: write {number[1]} in the unit that the reference says"
        raise fields.error(
            line,
            f"{fields.what}: {key}: {given.name!r} is neither a number nor one of params; {hint}",
        )
    least, most = bounds(given, dict(params))
    if least < limits[0] or most > limits[1]:
        alone = least == most
        said = f"{least:g}" if alone else f"[{least:g}, {most:g}]"
        raise fields.error(
            line,
            f"{fields.what}: {key}: {said} leaves {limits[0]:g} to {limits[1]:g}; "
            + ("take one inside" if alone else "narrow it"),
        )
