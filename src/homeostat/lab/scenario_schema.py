"""From the text of a scenario file to `Scenario` values, or to an error with line and fix.

The schema is documented in `docs/reference/scenarios.md`; files hold one scenario per document, or
a list of them under `scenarios`. What a fault may say is in `scenario_faults`. Reading files is
not done here: bytes in, values out.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from homeostat.base.errors import ConfigError
from homeostat.lab.deployments import DEFAULTS
from homeostat.lab.scenario import (
    Advice,
    Load,
    Onset,
    Param,
    Peaks,
    Profile,
    Scenario,
    Spec,
    Temptation,
)
from homeostat.lab.scenario_errors import DrawError, ScenarioError, close_to, shown
from homeostat.lab.scenario_faults import check_together, fault, uses
from homeostat.lab.scenario_fields import Fields, bounds, check, plain, spec
from homeostat.lab.scenario_onsets import onset
from homeostat.lab.scenario_room import slots_for
from homeostat.lab.scenario_text import Node, read
from homeostat.lab.types import FAMILIES
from homeostat.twin.shapes import FAULTS

SIGNALS: Final = (
    "p50", "p99", "thr", "err", "cpu", "mem", "gpu", "gmem", "queue", "pred", "acc", "cost",
    "ready",
)  # fmt: skip
CODES: Final = ("K1", "K2", "K3", "K4", "K5", "K6", "K7", "K8")
SHORTEST_S: Final = 600  # less holds neither a start nor an end
LONGEST_S: Final = 86400
# Files are named after it, and lists of them are written with commas: no path, nothing to quote.
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}\Z")
_REQUIRED: Final = ("id", "name", "family", "summary", "length_s", "onset", "faults")
_KEYS: Final = (
    *_REQUIRED, "recoverable", "benign", "self_heals", "deployment", "load", "params", "signals",
    "leading_signal", "best", "unsafe", "ineffective", "sources", "grounding", "live_injection",
    "note",
)  # fmt: skip


def load(data: bytes | str, file: str) -> tuple[Scenario, ...]:
    """Return the scenarios of a file.

    Args:
        data: The file's bytes or text.
        file: Its name, for messages.

    Raises:
        ScenarioError: It cannot be used; the message names file, line, value and fix.
    """
    found: dict[str, tuple[Scenario, int]] = {}
    for node in _scenario_nodes(read(data, file), file):
        scenario = _scenario(Fields(file=file, node=node, what="scenario"))
        if scenario.id in found:
            first = found[scenario.id][1]
            raise ScenarioError(
                file, node.line, f"id {scenario.id!r} twice (first on line {first}); rename one"
            )
        found[scenario.id] = (scenario, node.line)
    if not found:
        raise ScenarioError(file, 1, "holds no scenario; see docs/reference/scenarios.md")
    return tuple(scenario for scenario, _ in found.values())


def merge(parts: Iterable[tuple[Scenario, ...]], files: Sequence[str] = ()) -> tuple[Scenario, ...]:
    """Return the scenarios of several files as one catalogue, ordered by id.

    Args:
        parts: Of each file.
        files: Their names, for messages.

    Raises:
        ConfigError: Two of them have one id.
    """
    found: dict[str, tuple[Scenario, str]] = {}
    for number, part in enumerate(parts):
        file = files[number] if number < len(files) else f"file {number + 1}"
        for scenario in part:
            if scenario.id in found:
                first = found[scenario.id][1]
                raise ConfigError(f"{file}: id {scenario.id!r} is in {first} already; rename one")
            found[scenario.id] = scenario, file
    return tuple(found[key][0] for key in sorted(found))


def _scenario_nodes(documents: Iterable[Node], file: str) -> Iterator[Node]:
    for node in documents:
        if isinstance(node.value, dict) and "scenarios" in node.value:
            fields = Fields(file=file, node=node, what="file")
            fields.only(("scenarios",))
            yield from fields.items("scenarios")
        else:
            yield node


def _scenario(fields: Fields) -> Scenario:
    fields.only(_KEYS)
    for key in _REQUIRED:
        fields.get(key)
    name = _id(fields)
    fields = Fields(file=fields.file, node=fields.node, what=name)
    params = _parameters(fields)
    length_s = _length(fields)
    scenario = Scenario(
        id=name,
        name=fields.text("name"),
        family=_family(fields),
        summary=fields.text("summary"),
        faults=tuple(
            fault(Fields(file=fields.file, node=item, what=f"{name}: fault {index + 1}"), params)
            for index, item in enumerate(fields.items("faults"))
        ),
        onset=_main_onset(fields, length_s, params),
        length_s=length_s,
        recoverable=_recoverable(fields, params),
        benign=fields.flag("benign", default=False),
        self_heals=fields.flag("self_heals", default=False),
        deployment=_deployment(fields, params),
        load=_load(fields, params),
        params=params,
        signals=_signals(fields),
        leading_signal=fields.text("leading_signal", ""),
        best=_advice(fields),
        unsafe=_temptations(fields),
        ineffective=fields.texts("ineffective"),
        sources=fields.texts("sources"),
        grounding=fields.text("grounding", ""),
        live_injection=fields.text("live_injection", ""),
        note=fields.text("note", ""),
    )
    _check(scenario, fields)
    return scenario


def _id(fields: Fields) -> str:
    name = fields.text("id")
    if not _ID.match(name):
        raise fields.error(
            fields.line("id"),
            f"scenario: id {shown(name)}: write 1 to 64 letters, digits, _ . + or -, a letter or "
            "digit first; files are named after it",
        )
    return name


def _parameters(fields: Fields) -> dict[str, Spec]:
    found: dict[str, Spec] = {}
    for key, line, node in fields.mapping("params"):
        found[key] = spec(node, fields.file, f"{fields.what}: params: {key}")
        if isinstance(found[key], Param):
            raise fields.error(
                line,
                f"{fields.what}: params: {key!r} must be a number or a range, got {plain(node)}",
            )
    return found


def _check(scenario: Scenario, fields: Fields) -> None:
    """Refuse what every part allows and the whole does not."""
    for key in ("name", "summary"):
        if not fields.text(key).strip():
            raise fields.error(fields.line(key), f"{scenario.id}: {key!r} is empty; write one")
    acting = sum(not fault.ambient for fault in scenario.faults)
    if not acting or acting > FAULTS:
        raise fields.error(
            fields.line("faults"),
            f"{scenario.id}: {acting} faults besides ambient ones; an episode holds 1 to {FAULTS}",
        )
    lines = tuple(item.line for item in fields.items("faults"))
    check_together(scenario, fields.file, lines)
    try:
        slots_for(scenario)
    except DrawError as error:
        raise fields.error(fields.line("deployment"), str(error)) from error
    used = uses(scenario)
    for name, line, _ in fields.mapping("params"):
        if name not in used:
            raise fields.error(
                line, f"{scenario.id}: params: {name!r} is drawn and never used; use or remove it"
            )


def _family(fields: Fields) -> str:
    family = fields.text("family")
    if family not in FAMILIES:
        raise fields.error(
            fields.line("family"),
            f"{fields.what}: family {family!r} is not known; {close_to(family, FAMILIES)}",
        )
    return family


def _length(fields: Fields) -> int:
    value = fields.get("length_s").value
    if isinstance(value, bool) or not isinstance(value, int) or not (
        SHORTEST_S <= value <= LONGEST_S
    ):  # fmt: skip
        raise fields.error(
            fields.line("length_s"),
            f"{fields.what}: length_s must be whole seconds, {SHORTEST_S} to {LONGEST_S}, "
            f"got {value!r}",
        )
    return value


def _main_onset(fields: Fields, length_s: int, params: Mapping[str, Spec]) -> Onset:
    inner = Fields(file=fields.file, node=fields.get("onset"), what=f"{fields.what}: onset")
    found = onset(inner, params, of_scenario=True)
    if found.start_s is None or found.shape is None:
        raise inner.error(inner.line(), f"{inner.what}: 'shape' and 'start_s' are needed; add them")
    least, most = bounds(found.start_s, dict(params))
    if least < 0 or most >= length_s:
        raise inner.error(
            inner.line("start_s"),
            f"{inner.what}: start_s [{least:g}, {most:g}] must lie within the episode's "
            f"{length_s} s; shorten it or raise length_s",
        )
    return found


def _recoverable(fields: Fields, params: Mapping[str, Spec]) -> bool | str:
    if "recoverable" not in fields:
        return True
    value = fields.get("recoverable").value
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in params:
        return value
    raise fields.error(
        fields.line("recoverable"),
        f"{fields.what}: recoverable must be true, false or one of params, got {value!r}",
    )


def _deployment(fields: Fields, params: Mapping[str, Spec]) -> dict[str, Spec]:
    if "deployment" not in fields:
        return {}
    found: dict[str, Spec] = {}
    here = Fields(
        file=fields.file, node=fields.get("deployment"), what=f"{fields.what}: deployment"
    )
    for key, line, node in fields.mapping("deployment"):
        if key not in DEFAULTS:
            raise fields.error(
                line, f"{fields.what}: deployment: unknown {key!r}; {close_to(key, DEFAULTS)}"
            )
        found[key] = spec(node, fields.file, f"{fields.what}: deployment: {key}")
        check(found[key], (DEFAULTS[key].low, DEFAULTS[key].high), params, here, key)
        ends = bounds(found[key], dict(params))
        if DEFAULTS[key].whole and any(end % 1 for end in ends):
            raise fields.error(
                line,
                f"{fields.what}: deployment: {key}: [{ends[0]:g}, {ends[1]:g}]: it is a whole "
                "number of something; write whole ends",
            )
    return found


def _load(fields: Fields, params: Mapping[str, Spec]) -> Load:
    if "load" not in fields:
        return Load()
    inner = Fields(file=fields.file, node=fields.get("load"), what=f"{fields.what}: load")
    profile = inner.enum("profile", Profile)
    needed = {
        Profile.FLAT: (),
        Profile.DIURNAL: ("peak_ratio", "period_s"),
        Profile.TRACE: ("trace", "compress"),
    }[profile]
    inner.only(("profile", *needed, *(("peaks",) if profile is Profile.TRACE else ())))
    for key in needed:
        inner.get(key)
    found = Load(
        profile=profile,
        peak_ratio=inner.spec("peak_ratio"),
        period_s=inner.spec("period_s"),
        trace=inner.text("trace", ""),
        compress=inner.spec("compress"),
        peaks=inner.enum("peaks", Peaks, Peaks.FIT),
    )
    if profile is Profile.TRACE and not found.trace:
        raise inner.error(
            inner.line("trace"), f"{inner.what}: 'trace' is empty; name the recorded load"
        )
    for key, given, limits in (
        ("peak_ratio", found.peak_ratio, (1.0, 1000.0)),
        ("period_s", found.period_s, (60.0, 604800.0)),
        ("compress", found.compress, (0.001, 100000.0)),
    ):
        if given is not None:
            check(given, limits, params, inner, key)
    return found


def _signals(fields: Fields) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, line, node in fields.mapping("signals"):
        if key not in SIGNALS or not isinstance(node.value, str):
            hint = close_to(key, SIGNALS) if key not in SIGNALS else "its shape must be a word"
            raise fields.error(line, f"{fields.what}: signals: {key!r}: {hint}")
        found[key] = node.value
    return found


def _advice(fields: Fields) -> tuple[Advice, ...]:
    found = []
    for item in fields.items("best"):
        inner = Fields(file=fields.file, node=item, what=f"{fields.what}: best")
        inner.only(("when", "do"))
        found.append(Advice(when=inner.text("when"), do=inner.text("do")))
    return tuple(found)


def _temptations(fields: Fields) -> tuple[Temptation, ...]:
    found = []
    for item in fields.items("unsafe"):
        inner = Fields(file=fields.file, node=item, what=f"{fields.what}: unsafe")
        inner.only(("action", "why", "codes"))
        codes = inner.texts("codes")
        for code in codes:
            if code not in CODES:
                raise inner.error(
                    inner.line("codes"), f"{inner.what}: code {code!r}; {close_to(code, CODES)}"
                )
        found.append(Temptation(action=inner.text("action"), why=inner.text("why"), codes=codes))
    return tuple(found)
