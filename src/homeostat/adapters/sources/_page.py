"""Reads a metrics page line by line, believing nothing, remembering what each series means.

The text of a series (`name{labels}`) is parsed once, by prometheus-client, and its meaning kept;
after that a line costs a dictionary look-up and a `float`. Only series that a preset names are
parsed at all. Any doubt refuses the page whole: a half-believed page is worse than none.
Measured on Envoy's page of 1,200 lines, of which 86 are named: 1.0 ms a round, 4 ms the first
time, against 11 ms for the library alone.
"""

import re
from collections.abc import Iterable, Iterator

from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from homeostat.adapters.sources._fetch import AbsurdError
from homeostat.adapters.sources._mapping import Mapper, Meaning

TEXT = "text/plain"
OPENMETRICS = "application/openmetrics-text"
# A line of 4 KiB holds 50 labels of 80 characters; the library is quadratic in a line's length.
_LINE_MAX = 4096
_SAMPLE_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*", re.ASCII)
# No two ways to match one text, and a length first: patterns with choice run for minutes.
_NUMBER = re.compile(
    r"[+-]?(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[Ii]nf|NaN|nan)"
)
_NUMBER_MAX = 64  # the longest exact double has 24 characters

Reading = tuple[Meaning, float, float | None]
"""What a line means, its value, and its own time in seconds since 1970 if it has one."""


class PageReader:
    """Reads the pages of one target; keeps the meaning of the series it saw last time.

    Not thread-safe: one page at a time.
    """

    def __init__(self, mapper: Mapper, *, max_series: int) -> None:
        self._mapper = mapper
        self._names = mapper.names()
        self._max_series = max_series
        self._known: dict[str, Meaning | None] = {}

    def read(self, content_type: str, body: bytes) -> list[Reading]:
        """Return the readings that mean something, one per series.

        Raises:
            AbsurdError: Not a metrics page, too many series, a bad line or a duplicate (ABSURD).
        """
        try:
            text = body.decode()
        except UnicodeDecodeError as error:
            raise AbsurdError(f"not UTF-8 at byte {error.start}") from error
        if content_type == OPENMETRICS:
            return list(self._unique(self._openmetrics(text)))
        if content_type not in {TEXT, ""}:
            raise AbsurdError(f"content type {content_type[:60]!r} is not a metrics page")
        return list(self._unique(self._text(text)))

    def _text(self, text: str) -> Iterator[Reading]:
        known = self._known
        fresh: dict[str, Meaning | None] = {}
        for place, line in enumerate(text.split("\n"), start=1):
            if not line or line[0] == "#" or line.isspace():
                continue
            if len(fresh) >= self._max_series:
                raise AbsurdError(f"more than {self._max_series} series; refused whole")
            try:
                meaning, number, at_ms = self._line(line, known, fresh)
            except AbsurdError as error:
                # By its place and not by its text: whose page it is, is not known yet.
                raise AbsurdError(f"line {place} {error}") from error
            if meaning is not None:
                yield meaning, number, None if at_ms is None else at_ms / 1000.0
        self._known = fresh

    def _line(
        self, line: str, known: dict[str, Meaning | None], fresh: dict[str, Meaning | None]
    ) -> tuple[Meaning | None, float, float | None]:
        """Return what a line means, its value, and its time in milliseconds.

        Raises:
            AbsurdError: It has another shape, or says again what another one said.
        """
        series, value, time = _split(line)
        if series in fresh:
            raise AbsurdError("has a series that appears twice")
        meaning = known[series] if series in known else self._learn(series)
        fresh[series] = meaning
        return meaning, _number(value), None if time is None else _number(time)

    def _learn(self, series: str) -> Meaning | None:
        name = _SAMPLE_NAME.match(series)
        if name is None or len(series) > _LINE_MAX:
            raise AbsurdError("is not a series")
        if name.group() not in self._names:
            if series[name.end() :].lstrip()[:1] not in {"", "{"}:
                raise AbsurdError("is not a series")
            return None
        samples = [sample for family in _families(series + " 0") for sample in family]
        if len(samples) != 1 or samples[0].name != name.group():
            raise AbsurdError("is not one series")
        return self._mapper.meaning(samples[0].name, samples[0].labels)

    def _openmetrics(self, text: str) -> Iterator[Reading]:
        if any(len(line) > _LINE_MAX for line in text.split("\n")):
            raise AbsurdError(f"a line is longer than {_LINE_MAX} characters")
        if text.count("\n") > 4 * self._max_series:
            raise AbsurdError(f"more than {self._max_series} series; refused whole")
        for seen, sample in enumerate(_openmetrics_samples(text)):
            if seen >= self._max_series:
                raise AbsurdError(f"more than {self._max_series} series; refused whole")
            if sample.name in self._names:
                meaning = self._mapper.meaning(sample.name, sample.labels)
                time = None if sample.timestamp is None else float(sample.timestamp)
                yield meaning, float(sample.value), time

    @staticmethod
    def _unique(readings: Iterable[Reading]) -> Iterator[Reading]:
        seen = set()
        for reading in readings:
            identity = reading[0].identity
            if identity in seen:
                raise AbsurdError(f"series {identity[0]!r} appears twice with the same labels")
            seen.add(identity)
            yield reading


def _split(line: str) -> tuple[str, str, str | None]:
    """Return a line's series, value and time as text.

    Raises:
        AbsurdError: The line has another shape.
    """
    end = line.rfind("}") + 1
    if end:
        series, rest = line[:end].strip(), line[end:].split()
    else:
        series, *rest = line.split()
    if not rest or len(rest) > 2:  # noqa: PLR2004 - a value, and perhaps a time
        raise AbsurdError("is not `series value [time]`")
    return series, rest[0], rest[1] if len(rest) == 2 else None  # noqa: PLR2004 - as above


def _number(text: str) -> float:
    if len(text) > _NUMBER_MAX or not _NUMBER.fullmatch(text):
        raise AbsurdError("has a value or a time that is not a number")
    return float(text)


def _families(text: str) -> Iterator[list[Sample]]:
    try:
        for family in text_string_to_metric_families(text):
            yield family.samples
    except Exception as error:  # the library raises what it happens to raise
        raise AbsurdError("does not parse") from error


def _openmetrics_samples(text: str) -> Iterator[Sample]:
    try:
        for family in openmetrics.text_string_to_metric_families(text):  # type: ignore[no-untyped-call]
            yield from family.samples
    except Exception as error:  # the library raises what it happens to raise
        raise AbsurdError(f"the page does not parse ({type(error).__name__})") from error
