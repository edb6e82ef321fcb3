"""The presets of `presets.yaml`: what they need, what the loop reads of them, their PromQL."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from homeostat.adapters.sources.presets import PRESETS
from homeostat.adapters.sources.rules import Preset, Rule
from homeostat.base import raw
from homeostat.base.evidence import Kind

LAYERS: Final = ("server", "engine", "gateway", "generic", "kube", "gpu")
"""In the order in which a signal is taken from them."""

_PREFIX: Final = "raw_"
_SUFFIXES: Final = {"_bucket": Kind.BUCKET, "_sum": Kind.COUNTER, "_count": Kind.COUNTER}
_KINDS: Final = {"counter": Kind.COUNTER, "gauge": Kind.GAUGE}
_KNOWN: Final = frozenset(
    value for name, value in vars(raw).items() if name.isupper() and isinstance(value, str)
)

Type = Literal["counter", "gauge", "histogram", "summary"]
Layer = Literal["server", "engine", "gateway", "generic", "kube", "gpu"]
Status = Literal["V", "M", "D", "U"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Metric(_Strict):
    """A metric that is exposed: its type, labels, and values that labels take."""

    t: Type
    l: tuple[str, ...]  # noqa: E741 - the file's own short key
    v: dict[str, tuple[str, ...]] = Field(default_factory=dict)


class Signal(_Strict):
    """A number for people: its unit, how well it is known, its PromQL, a note."""

    u: str
    s: Status
    q: str
    n: str = ""


class Read(_Strict):
    """One rule; see the head of the file."""

    of: str
    as_: str = Field(alias="as")
    where: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    unless: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    scale: float = Field(default=1.0, gt=0)
    zero_if: tuple[str, ...] = ()


class Entry(_Strict):
    """One preset as the file has it."""

    verified: str
    layer: Layer
    needs: tuple[str, ...]
    reads: tuple[Read, ...] | None = None
    scrape: dict[str, Annotated[str, BeforeValidator(str)]] = Field(default_factory=dict)
    select_by: tuple[str, ...]
    metrics: dict[str, Metric]
    signals: dict[str, Signal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One preset.

    Attributes:
        entry: What the file says.
        rules: What the live loop reads; without any, it is for people and history alone.
    """

    entry: Entry
    rules: Preset


@cache
def presets() -> Mapping[str, Known]:
    """Return all presets by name, in the file's order.

    Raises:
        ValueError: The file does not hold together; says where.
    """
    text = files("homeostat.adapters.sources").joinpath("presets.yaml").read_text(encoding="utf-8")
    return {name: _known(name, said) for name, said in yaml.safe_load(text).items()}


def _known(name: str, said: dict[str, Any]) -> Known:
    entry = Entry.model_validate(said)
    if entry.reads is None:
        return Known(entry=entry, rules=PRESETS[name])
    rules = tuple(_rules(name, entry, entry.reads))
    return Known(entry=entry, rules=Preset(name=name, rules=rules, started_sample=_START))


_START: Final = "process_start_time_seconds"


def _rules(name: str, entry: Entry, reads: tuple[Read, ...]) -> Iterator[Rule]:
    for read in reads:
        signal = _PREFIX + read.as_
        if signal not in _KNOWN:
            raise ValueError(f"preset {name}: {read.as_!r} is no raw signal (base.raw)")
        labels = (*read.where, *(label for label in read.unless if label != "container"))
        metric, kind = _declared(name, entry, read.of)
        for label in labels:
            if label not in metric.l:
                raise ValueError(f"preset {name}: {read.of} declares no label {label!r}")
        for sample in read.zero_if:
            _declared(name, entry, sample)
        yield Rule(
            sample=read.of,
            signal=signal,
            kind=kind,
            where=tuple(read.where.items()),
            unless=tuple(read.unless.items()),
            scale=read.scale,
            zero_if=read.zero_if,
        )


def _declared(name: str, entry: Entry, sample: str) -> tuple[Metric, Kind]:
    """Return the metric that a sample belongs to, and how to read it.

    Raises:
        ValueError: The preset declares no such metric.
    """
    metric = entry.metrics.get(sample)
    if metric is not None and metric.t in _KINDS:
        return metric, _KINDS[metric.t]
    for suffix, kind in _SUFFIXES.items():
        family = entry.metrics.get(sample.removesuffix(suffix))
        if sample.endswith(suffix) and family is not None and family.t not in _KINDS:
            return family, kind
    raise ValueError(f"preset {name}: {sample!r} is not among its metrics")
