"""Are the pages of real servers bound to what they are, and read right? Prints a line a page.

    python tests/adapters/sources/expositions_bound.py

What must be is in `expositions/expected.yaml`. A page is `wrong` if a preset is chosen that must
not be, a number is told that is another one, or one that the page does not count; it is `missed` if
something that must be told is not. `test_expositions` holds the figures.
"""

import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from homeostat.adapters.sources.presets_choose import choose, discover
from homeostat.adapters.sources.presets_file import presets
from homeostat.adapters.sources.prometheus_answer import Series
from homeostat.adapters.sources.prometheus_reading import Reading
from homeostat.base import raw

PAGES: Final = Path(__file__).parent / "expositions"
STEP_S: Final = 15.0
_SERVING: Final = "server"
_ARRIVED, _FAILED = "requests_arrived", "requests_5xx"
Told = dict[tuple[str, str, float | None], float]
"""By subject, signal and bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What one page must be bound to.

    Attributes:
        name: Of the page, without its ending.
        pair: It was recorded at two moments.
        said: Its entry.
    """

    name: str
    pair: bool
    said: Mapping[str, Any]

    @property
    def page(self) -> str:
        """The later page."""
        return f"{self.name}.after.txt" if self.pair else f"{self.name}.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one page was bound.

    Attributes:
        expected: What had to be.
        chosen: The presets.
        serves: A job with this page counts as one that serves a model.
        wrong: What is told and is not so.
        missed: What had to be told and is not.
    """

    expected: Expected
    chosen: tuple[str, ...]
    serves: bool
    wrong: tuple[str, ...]
    missed: tuple[str, ...]


def all_expected() -> list[Expected]:
    """Return every page of `expected.yaml`."""
    said = yaml.safe_load((PAGES / "expected.yaml").read_text(encoding="utf-8"))
    return [
        Expected(name=name, pair=part == "recorded", said=entry)
        for part, entries in said.items()
        for name, entry in entries.items()
    ]


def samples(page: str) -> list[Sample]:
    """Return what a page shows."""
    text = (PAGES / page).read_text(encoding="utf-8")
    return [one for family in text_string_to_metric_families(text) for one in family.samples]


def told(page: str, chosen: Iterable[str], before: str | None = None) -> Told:
    """Return what is read of a page, as from a scrape and the one before.

    Args:
        page: The page.
        chosen: Presets, best first.
        before: The page of the scrape before; None for one where all was zero.
    """
    reading = Reading([presets()[name].rules for name in chosen], deployment="d", subject="model")
    now = [one for one in samples(page) if one.name in reading.names]
    old = {_identity(one): one.value for one in (samples(before) if before else [])}
    was = old if before else {_identity(one): 0.0 for one in now}
    reading.take([_scraped(one, was[_identity(one)]) for one in now if _identity(one) in was])
    values = reading.take([_scraped(one, was.get(_identity(one)), one.value) for one in now])
    return {(one.key.subject, one.key.signal, one.le): one.value for one in values}


def bound(expected: Expected) -> Outcome:
    """Bind one page, and say what is wrong with that."""
    names = {one.name for one in samples(expected.page)}
    chosen = choose(names)
    must = tuple(expected.said["presets"])
    wrong = [f"bound to {one}" for one in chosen if one not in must]
    missed = [f"not bound to {one}" for one in must if one not in chosen]
    serves = bool(discover({"job": names}))
    if serves != (expected.said["kind"] == _SERVING):
        (wrong if serves else missed).append(f"serves a model: {serves}")
    for where, key, should, value in _numbers(expected, chosen) if chosen == must else ():
        if should is None and value is not None:
            wrong.append(f"{where}{key} is told ({value:g}) and not counted")
        elif should is not None and value is None:
            missed.append(f"{where}{key} is not told")
        elif should is not None and value is not None and not math.isclose(value, should):
            wrong.append(f"{where}{key} is {value:g}, not {should:g}")
    return Outcome(
        expected=expected,
        chosen=chosen,
        serves=serves,
        wrong=tuple(wrong),
        missed=tuple(missed),
    )


def _numbers(
    expected: Expected, chosen: tuple[str, ...]
) -> Iterator[tuple[str, str, float | None, float | None]]:
    """Yield where, which number, what it must be (None: not told), and what is told."""
    said, subjects = expected.said, expected.said.get("subjects", ["model"])
    whole = told(expected.page, chosen)
    for key, should in said.get("values", {}).items():
        yield "", key, float(should), _sum(whole, subjects, key)
    for key in said.get("absent", ()):
        yield "", key, None, _sum(whole, subjects, key)
    if not expected.pair or not chosen:
        return
    sent = json.loads((PAGES / f"{expected.name}.json").read_text())["sent_between"]
    failed = sum(count for status, count in sent.items() if status.startswith("5"))
    between = told(expected.page, chosen, f"{expected.name}.before.txt")
    for key, should in ((_ARRIVED, sum(sent.values())), (_FAILED, failed)):
        if key not in said.get("uncounted", ()):
            yield "between the pages ", key, float(should), _sum(between, subjects, key)


def _sum(found: Told, subjects: Iterable[str], key: str) -> float | None:
    signal, le = f"raw_{key}", None
    if key == "latency_count":
        signal, le = raw.LATENCY, math.inf
    values = [found[name, signal, le] for name in subjects if (name, signal, le) in found]
    return math.fsum(values) if values else None


def _identity(sample: Sample) -> frozenset[tuple[str, str]]:
    return frozenset({("__name__", sample.name), *sample.labels.items()})


def _scraped(sample: Sample, *values: float | None) -> Series:
    """Return a series with a value a step; it was not there yet where it is None."""
    labels = {"__name__": sample.name, "job": "j", "instance": "i"} | sample.labels
    return Series(
        labels=labels,
        samples=tuple(
            (STEP_S * place, value)
            for place, value in enumerate(values, start=1)
            if value is not None
        ),
        identity=frozenset(labels.items()),
    )


def main() -> int:
    """Print how each page is bound; 1 if one is wrong or missed."""
    outcomes = [bound(one) for one in all_expected()]
    for one in outcomes:
        trouble = "; ".join((*one.wrong, *one.missed))
        said = trouble or ", ".join(one.chosen) or "nobody's"
        print(f"{'WRONG ' if trouble else 'ok    '}{one.expected.name}: {said}")
    right = sum(not one.wrong and not one.missed for one in outcomes)
    wrong = sum(bool(one.wrong) for one in outcomes)
    decoys = [one for one in outcomes if one.expected.said["kind"] == "decoy"]
    ignored = sum(not one.serves and not one.chosen for one in decoys)
    print(
        f"{right} of {len(outcomes)} pages bound correctly ({100 * right / len(outcomes):.0f} %), "
        f"{wrong} wrong; {ignored} of {len(decoys)} decoys ignored"
    )
    return 0 if right == len(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
