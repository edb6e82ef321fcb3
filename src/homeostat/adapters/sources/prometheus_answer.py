"""What a Prometheus HTTP API answered, read without believing anything.

One body becomes series of (time, value) pairs, or an error that names the field. A partial answer
is no answer: Thanos says so in `warnings`, VictoriaMetrics in `isPartial`, and half of a sum is a
wrong sum. NaN and infinities stay what they are, for whoever judges. Python's JSON takes more than
JSON is (NaN, numbers without end, a key twice): all of that is refused here.
Source: https://prometheus.io/docs/prometheus/latest/querying/api/ (stable API, v1).
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from homeostat.base.errors import SourceError
from homeostat.base.evidence import Quality

_NUMBER: Final = re.compile(
    r"[+-]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|Inf|NaN)"
)
_NUMBER_MAX: Final = 64  # the longest exact double has 24 characters
_SAID_MAX: Final = 200  # characters of a server's own words that are shown
_LATEST_S: Final = 253_402_300_800.0  # the year 10000
_PAIR: Final = 2

Sample = tuple[float, float]
"""Seconds since 1970 by the database's clock, and the value."""


class QueryError(SourceError):
    """A time-series database did not answer, or answered what cannot be believed.

    Attributes:
        quality: UNREACHABLE, or ABSURD.
        field: The part of the answer that is wrong, such as `data.result[3].values`; empty if none.
    """

    def __init__(self, said: str, *, quality: Quality, field: str = "") -> None:
        super().__init__(said)
        self.quality, self.field = quality, field


class RefusedQueryError(QueryError):
    """The server answered that it will not: this query, of this size, by this user."""


class AbsurdAnswerError(QueryError):
    """An answer came, and cannot be believed; says where and in which field."""

    def __init__(self, where: str, field: str, problem: str) -> None:
        said = f"{where}: {field}: {problem}" if field else f"{where}: {problem}"
        super().__init__(said, quality=Quality.ABSURD, field=field)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series of an answer.

    Attributes:
        labels: With `__name__` where the query left it.
        samples: In ascending time; one where the query asked for an instant.
        identity: The labels as one value that can be looked up.
    """

    labels: Mapping[str, str]
    samples: tuple[Sample, ...]
    identity: frozenset[tuple[str, str]]

    @property
    def name(self) -> str:
        """The metric's name, empty where the query took it away."""
        return self.labels.get("__name__", "")


Part = tuple[Series, ...] | AbsurdAnswerError
"""What one of several said, or what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parted:
    """A whole answer for several, each of whom is told by the value of one label.

    Attributes:
        parts: By that value; who is not in it said nothing.
        skew_s: See `Answered`.
    """

    parts: Mapping[str, Part]
    skew_s: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A whole answer.

    Attributes:
        series: As they came.
        warnings: What the server said about it; empty where all is well.
        partial: Some of what was asked is missing: sums are too small by an unknown amount.
        skew_s: The server's clock minus ours, NaN where it did not say.
    """

    series: tuple[Series, ...]
    warnings: tuple[str, ...] = ()
    partial: bool = False
    skew_s: float = math.nan

    def whole(self, where: str) -> "Answered":
        """Return the answer itself if nothing is missing from it.

        Raises:
            QueryError: It is partial, or came with warnings (UNREACHABLE: the rest is unknown).
        """
        if not self.partial and not self.warnings:
            return self
        said = "; ".join(self.warnings)[:_SAID_MAX] or "isPartial"
        raise QueryError(
            f"{where}: the answer is partial ({said}); what is missing is unknown, so nothing of "
            "it is used; bring the stores behind it back",
            quality=Quality.UNREACHABLE,
            field="isPartial" if self.partial else "warnings",
        )


def decoded(where: str, body: bytes) -> dict[str, Any]:
    """Return a body as a JSON object.

    Args:
        where: The address without secrets, for errors.
        body: Decompressed.

    Raises:
        AbsurdAnswerError: It is none.
    """
    try:
        said = json.loads(body, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:  # bad UTF-8 is a ValueError too
        reason = str(error)[:100] or type(error).__name__
        raise AbsurdAnswerError(where, "", f"the answer is not JSON ({reason})") from error
    if not isinstance(said, dict):
        raise AbsurdAnswerError(where, "", f"the answer is a {type(said).__name__}, not an object")
    return said


def read(where: str, body: bytes, *, most_series: int, most_samples: int) -> Answered:
    """Return what a query answered: an instant's vector or scalar, or a range's matrix.

    Args:
        where: The address without secrets, for errors.
        body: Decompressed.
        most_series: More of them refuse the answer whole.
        most_samples: More of them in all refuse it too.

    Raises:
        AbsurdAnswerError: It is no such answer.
        QueryError: It is an error that the server reports, or a partial answer.
    """
    said, result, matrix = _result(where, body, most_series)
    found: list[Series] = []
    seen: set[frozenset[tuple[str, str]]] = set()
    count = 0
    for place, entry in enumerate(result):
        at = f"data.result[{place}]"
        one = _series(where, at, entry, matrix=matrix)
        _check_once(where, at, one, seen)
        count += len(one.samples)
        _check_count(where, count, most_samples)
        found.append(one)
    return Answered(series=tuple(found), warnings=_warnings(where, said), partial=_is_partial(said))


def read_apart(
    where: str, body: bytes, *, label: str, most_series: int, most_samples: int
) -> Parted:
    """Return what a query answered for several, told apart by one label's value.

    What is wrong with a series is wrong with the part that it names and with no other. Where it
    names none, nobody knows whose it is, and the answer is refused whole.

    Args:
        where: See `read`.
        body: See `read`.
        label: The label that tells them apart.
        most_series: Of all parts; see `read`.
        most_samples: Of all parts; see `read`.

    Raises:
        AbsurdAnswerError: It is no such answer, or a series without the label is among it.
        QueryError: It is an error that the server reports, or a partial answer.
    """
    said, result, matrix = _result(where, body, most_series)
    told = _warnings(where, said)
    Answered(series=(), warnings=told, partial=_is_partial(said)).whole(where)
    found: dict[str, list[Series]] = {}
    wrong: dict[str, AbsurdAnswerError] = {}
    seen: set[frozenset[tuple[str, str]]] = set()
    count = 0
    for place, entry in enumerate(result):
        at = f"data.result[{place}]"
        owner = _labels(where, at, entry).get(label)
        if owner is None:
            raise AbsurdAnswerError(where, f"{at}.metric", f"has no label {label!r}")
        try:
            one = _series(where, at, entry, matrix=matrix)
            _check_once(where, at, one, seen)
        except AbsurdAnswerError as error:
            wrong.setdefault(owner, error)
            continue
        count += len(one.samples)
        _check_count(where, count, most_samples)
        found.setdefault(owner, []).append(one)
    parts: dict[str, Part] = {owner: tuple(series) for owner, series in found.items()}
    return Parted(parts=parts | wrong)


def words(where: str, body: bytes) -> tuple[str, ...]:
    """Return what a list of names answered (label values).

    Raises:
        AbsurdAnswerError: It is no such answer.
        QueryError: It is an error that the server reports, or a partial answer.
    """
    said = decoded(where, body)
    _check_status(where, said)
    data = said.get("data")
    if data is None:  # VictoriaMetrics and older Thanos write null for an empty list
        data = []
    if not isinstance(data, list) or not all(isinstance(word, str) for word in data):
        raise AbsurdAnswerError(where, "data", "is not a list of names")
    Answered(series=(), warnings=_warnings(where, said), partial=bool(said.get("isPartial"))).whole(
        where
    )
    return tuple(data)


def error_words(body: bytes) -> str:
    """Return what a server says went wrong, empty if it says nothing that can be read."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(said, dict) or not isinstance(said.get("error"), str):
        return ""
    kind = said.get("errorType")
    told = f"{kind}: {said['error']}" if isinstance(kind, str) else str(said["error"])
    return _printable(told)


def _result(where: str, body: bytes, most_series: int) -> tuple[dict[str, Any], list[Any], bool]:
    """Return an answer, its entries, and whether each has several samples.

    Raises:
        AbsurdAnswerError: It is no such answer.
    """
    said = decoded(where, body)
    _check_status(where, said)
    data = said.get("data")
    if not isinstance(data, dict):
        raise AbsurdAnswerError(where, "data", f"is {_kind(data)}, not an object")
    kind, result = data.get("resultType"), data.get("result")
    if kind == "scalar":
        result = [{"metric": {}, "value": result}]
    elif kind not in {"vector", "matrix"}:
        raise AbsurdAnswerError(where, "data.resultType", f"is {str(kind)[:40]!r}; ask for numbers")
    if not isinstance(result, list):
        raise AbsurdAnswerError(where, "data.result", f"is {_kind(result)}, not a list")
    if len(result) > most_series:
        raise AbsurdAnswerError(
            where,
            "data.result",
            f"has {len(result)} series, more than {most_series}; narrow the selector",
        )
    return said, result, kind == "matrix"


def _labels(where: str, at: str, entry: Any) -> dict[str, str]:
    if not isinstance(entry, dict):
        raise AbsurdAnswerError(where, at, f"is {_kind(entry)}, not an object")
    labels = entry.get("metric")
    if not isinstance(labels, dict) or not all(type(v) is str for v in labels.values()):
        raise AbsurdAnswerError(where, f"{at}.metric", "is not an object of texts")
    return labels


def _series(where: str, at: str, entry: Any, *, matrix: bool) -> Series:
    labels = _labels(where, at, entry)
    samples = _samples(where, at, entry, matrix=matrix)
    return Series(labels=labels, samples=samples, identity=frozenset(labels.items()))


def _check_once(where: str, at: str, one: Series, seen: set[frozenset[tuple[str, str]]]) -> None:
    if one.identity in seen:
        raise AbsurdAnswerError(
            where, f"{at}.metric", "is there twice; deduplicate replicas upstream"
        )
    seen.add(one.identity)


def _check_count(where: str, count: int, most: int) -> None:
    if count > most:
        raise AbsurdAnswerError(
            where, "data.result", f"has more than {most} samples; ask for less time"
        )


def _is_partial(said: dict[str, Any]) -> bool:
    return said.get("isPartial") is not None and said["isPartial"] is not False


def _samples(where: str, at: str, entry: dict[str, Any], *, matrix: bool) -> tuple[Sample, ...]:
    """Return a series' samples.

    Raises:
        AbsurdAnswerError: They are no pairs of a time and a number as text, or times do not ascend.
    """
    field = "values" if matrix else "value"
    pairs = entry.get(field)
    if pairs is None and ("histograms" in entry or "histogram" in entry):
        raise AbsurdAnswerError(
            where, at, "is a native histogram, which is not read; keep the classic buckets"
        )
    if not matrix:
        pairs = [pairs]
    if not isinstance(pairs, list):
        raise AbsurdAnswerError(where, f"{at}.{field}", f"is {_kind(pairs)}, not a list")
    samples, before = [], -math.inf
    for pair in pairs:
        sample = _sample(pair)
        if sample is None or not before < sample[0]:
            wrong = "is no [time, number]" if sample is None else "goes back in time"
            raise AbsurdAnswerError(where, f"{at}.{field}", f"{wrong}: {str(pair)[:60]}")
        before = sample[0]
        samples.append(sample)
    return tuple(samples)


def _sample(pair: Any) -> Sample | None:
    """Return a time and a value, None if the pair is none."""
    if type(pair) is not list or len(pair) != _PAIR:
        return None
    at, text = pair
    if type(at) not in {int, float} or not 0.0 <= at < _LATEST_S:
        return None
    if type(text) is not str or len(text) > _NUMBER_MAX or not _NUMBER.fullmatch(text):
        return None
    return float(at), float(text)


def _check_status(where: str, said: dict[str, Any]) -> None:
    if said.get("status") == "success":
        return
    told = said.get("error")
    if said.get("status") == "error" and isinstance(told, str):
        raise RefusedQueryError(
            f"{where}: the query failed: {_printable(told)}", quality=Quality.UNREACHABLE
        )
    raise AbsurdAnswerError(where, "status", f"is {str(said.get('status'))[:40]!r}, not 'success'")


def _warnings(where: str, said: dict[str, Any]) -> tuple[str, ...]:
    warnings = said.get("warnings")
    if warnings is None:
        return ()
    if not isinstance(warnings, list) or not all(isinstance(one, str) for one in warnings):
        raise AbsurdAnswerError(where, "warnings", "is not a list of texts")
    return tuple(_printable(one) for one in warnings)


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else " " for one in text[:_SAID_MAX])


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is not JSON")


def _kind(value: Any) -> str:
    return "missing" if value is None else f"a {type(value).__name__}"
