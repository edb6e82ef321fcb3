"""What a run of the lab found: the values behind `results.json` and `report.html`.

Plain values with units in their names, and their way to JSON and back. Nothing is worked out here
(see `lab.metrics`) and nothing is drawn (see `lab_html`). What could not be measured is None with
n = 0, never zero.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import UnionType
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

from homeostat.base.errors import HomeostatError

FORMAT: Final = "homeostat.dev/lab-results/v1"
T = TypeVar("T")


class ResultsError(HomeostatError):
    """A results file is not one of ours, or not of this format."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A measured number with its 95 % interval.

    Attributes:
        value: In the metric's unit; None = not measured.
        low: Lower end of the interval; None = there is none.
        high: Upper end.
        n: Episodes that the number rests on.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """How often something may happen at most, given how often it was seen (Clopper-Pearson).

    Attributes:
        events: How often it was seen.
        n: Out of how many.
        upper: One-sided 95 % upper bound of its probability.
    """

    events: int
    n: int
    upper: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One condition of the gate.

    Attributes:
        name: A short sentence, for example `no catastrophe of its own`.
        passed: Whether it holds; None = cannot be judged from this run.
        because: The numbers that decided.
    """

    name: str
    passed: bool | None
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Share of recoverable episodes that have recovered (Kaplan-Meier), against time.

    Attributes:
        t_s: Seconds since the onset of the fault, ascending.
        share: Recovered by then, 0..1; as long as `t_s`.
        n: Episodes.
    """

    t_s: tuple[float, ...]
    share: tuple[float, ...]
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Worst:
    """An episode that went badly.

    Attributes:
        scenario: Its id.
        seed: Its seed; `homeostat lab episode SCENARIO --policy P --seed SEED` runs it again.
        codes: K-codes that the policy caused.
        violation_s: Seconds in which the service was not what was promised.
    """

    scenario: str
    seed: int
    codes: tuple[str, ...]
    violation_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Figures over some episodes: of one scenario, or of one family.

    Attributes:
        metrics: By metric name.
        codes: Share of episodes in which the policy caused a K-code, by code.
    """

    metrics: Mapping[str, Figure]
    codes: Mapping[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyResults:
    """What one policy achieved.

    Attributes:
        metrics: Over all scenarios, by metric name.
        codes: Share of episodes in which it caused a K-code.
        codes_any: Share of episodes in which a code fired at all, caused or not.
        families: By fault family.
        scenarios: By scenario id.
        over_episodes: Catastrophes it caused, over episodes of this catalogue.
        over_scenarios: Scenarios with at least one, over scenarios: what carries over to new ones.
        gate: The joint gate's conditions; it is passed when every one of them is.
        recovery: None where no episode could be recovered.
        worst: The worst episodes, worst first.
        sensitivity: Share of episodes with a catastrophe caused under other thresholds of the
            judge, by which; empty where it was not asked for.
    """

    metrics: Mapping[str, Figure]
    codes: Mapping[str, Figure] = field(default_factory=dict)
    codes_any: Mapping[str, Figure] = field(default_factory=dict)
    families: Mapping[str, Group] = field(default_factory=dict)
    scenarios: Mapping[str, Group] = field(default_factory=dict)
    over_episodes: Bound | None = None
    over_scenarios: Bound | None = None
    gate: tuple[Check, ...] = ()
    recovery: Curve | None = None
    worst: tuple[Worst, ...] = ()
    sensitivity: Mapping[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioLine:
    """A scenario as the reports name it.

    Attributes:
        name: For example `flash_crowd`.
        family: Of the fault.
        length_s: Of an episode.
        benign: There is no fault: any intervention is a false one.
        recoverable: A controller can remove the fault; else the right end is a person told.
    """

    name: str
    family: str
    length_s: int
    benign: bool
    recoverable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where it ran.

    Attributes:
        cpu: Model name.
        cores: That this process may use.
        python: Version.
        jax: Version.
    """

    cpu: str
    cores: int
    python: str
    jax: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """A run of the lab.

    Attributes:
        format: `FORMAT`.
        version: Of the package.
        made_at: ISO 8601 time of the end of the run.
        commit: Of the program's repository, with `+` where it was changed since; empty = no
            repository.
        command: The command line that makes it again.
        wall_s: Seconds of computing, all shards together.
        machine: Where it ran.
        catalogue: Its name or file.
        catalogue_digest: SHA-256 of the scenario file.
        thresholds_digest: SHA-256 of the judge's frozen thresholds.
        seed_first: First seed.
        seeds: Seeds per scenario; every policy meets the same ones.
        scenarios: By id, in the catalogue's order.
        policies: By name, in the order asked for.
        notes: What a reader must know, for example what was sampled coarsely.
    """

    format: str = FORMAT
    version: str
    made_at: str
    command: str
    wall_s: float
    machine: Machine
    catalogue: str
    catalogue_digest: str
    thresholds_digest: str
    seed_first: int
    seeds: int
    scenarios: Mapping[str, ScenarioLine]
    policies: Mapping[str, PolicyResults]
    notes: tuple[str, ...] = ()
    commit: str = ""


def to_plain(value: Any) -> Any:
    """Return results, or a part of them, as dicts, lists and scalars; NaN and inf become None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def to_json(results: Results) -> str:
    """Return the text of `results.json`."""
    return json.dumps(to_plain(results), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str) -> Results:
    """Return the results that a `results.json` holds.

    Raises:
        ResultsError: It is no JSON, of another format, or a field is missing or of another type.
    """
    try:
        plain = json.loads(text)
    except json.JSONDecodeError as error:
        raise ResultsError(f"results file: not JSON ({error}); run `homeostat lab run`") from error
    found = plain.get("format") if isinstance(plain, dict) else None
    if found != FORMAT:
        raise ResultsError(f"results file: format is {found!r}, this version reads {FORMAT!r}")
    return build(Results, plain, "results")


def read(kind: type[T], text: str, form: str, name: str, command: str) -> T:
    """Return what a file of one of the lab's commands holds.

    Args:
        kind: Of the value.
        text: The file's.
        form: The format that it must name.
        name: Of such files, for people.
        command: That makes them: `homeostat lab COMMAND`.

    Raises:
        ResultsError: It is no JSON, of another format, or a field is missing or of another type.
    """
    again = f"run `homeostat lab {command}`"
    try:
        plain = json.loads(text)
    except json.JSONDecodeError as error:
        raise ResultsError(f"{name} file: not JSON ({error}); {again}") from error
    if not isinstance(plain, dict) or plain.get("format") != form:
        raise ResultsError(f"{name} file: its format is not {form!r}; {again}")
    return build(kind, plain, name)


def build(kind: type[T], plain: Any, where: str) -> T:
    """Return a dataclass built from plain values.

    Args:
        kind: One of this module's dataclasses.
        plain: A mapping of its fields.
        where: Named in errors.

    Raises:
        ResultsError: A field is missing, unknown or of another type.
    """
    if not isinstance(plain, Mapping):
        raise ResultsError(f"{where}: expected an object, got {plain!r}")
    hints = get_type_hints(kind)
    if unknown := sorted(set(plain) - set(hints)):
        raise ResultsError(f"{where}: unknown field {unknown[0]!r}")
    try:
        return kind(**{k: _value(hints[k], v, f"{where}.{k}") for k, v in plain.items()})
    except TypeError as error:
        raise ResultsError(f"{where}: {error}") from error


def _value(hint: Any, plain: Any, where: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if isinstance(hint, UnionType):
        inner = next(a for a in arguments if a is not type(None))
        return None if plain is None else _value(inner, plain, where)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return build(hint, plain, where)
    if origin is tuple and isinstance(plain, list):
        return tuple(_value(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(plain))
    if origin is Mapping and isinstance(plain, Mapping):
        return {str(k): _value(arguments[1], item, f"{where}.{k}") for k, item in plain.items()}
    if hint is float and type(plain) in {int, float}:
        return float(plain)
    if isinstance(hint, type) and type(plain) is hint:
        return plain
    raise ResultsError(f"{where}: {plain!r} is not a {getattr(hint, '__name__', hint)}")
