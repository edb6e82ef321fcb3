"""What a search for an autoscaler's settings found: values, JSON and a table; nothing more."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from homeostat.report.lab_figures import made, table
from homeostat.report.lab_made import Provenance
from homeostat.report.lab_results import read, to_plain

FORMAT: Final = "homeostat.dev/lab-tuning/v1"
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting and what it came to.

    Attributes:
        config: By name, for people.
        value: Mean of J over the episodes, in hourly budgets; less negative is better.
        stock: Whether it is the one that comes without tuning.
    """

    config: str
    value: float
    stock: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning(Provenance):
    """What `lab tune` found, with how it was made.

    Attributes:
        budget: Settings tried of each policy.
        seed_first: First seed of the episodes; no evaluation uses them.
        episodes: On which every setting was tried.
        policies: Settings by policy, the best first.
    """

    format: str = FORMAT
    budget: int
    seed_first: int
    episodes: int
    policies: Mapping[str, tuple[Setting, ...]]


def to_json(found: Tuning) -> str:
    """Return the text of `tuning.json`."""
    return json.dumps(to_plain(found), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str) -> Tuning:
    """Return what a `tuning.json` holds.

    Raises:
        ResultsError: It is no JSON, of another format, or a field is missing or of another type.
    """
    return read(Tuning, text, FORMAT, "tuning", "tune")


def markdown(found: Tuning) -> str:
    """Return the best settings of each policy beside the stock one."""
    facts = (
        f"{found.budget} settings of each, tried on the same {found.episodes:,} episodes (seeds "
        f"from {found.seed_first:,}); the value is the mean of J in hourly budgets, less negative "
        f"is better. {found.catalogue}, `{found.catalogue_digest[:12]}` (SHA-256)."
    )
    rows = [list(row.values()) for row in shown(found, plain=False)]
    return "\n\n".join([facts, *made(found), table(["", "setting", "value"], rows)])


def shown(found: Tuning, *, plain: bool) -> Any:
    """Return what a command prints: the whole as plain values, or the best and the stock ones."""
    if plain:
        return to_plain(found)
    return [
        {"policy": name, "setting": one.config + (", stock" * one.stock), "value": _value(one)}
        for name, settings in found.policies.items()
        for rank, one in enumerate(settings)
        if rank < _SHOWN or one.stock
    ]


def _value(one: Setting) -> str:
    return f"{one.value:.2f}"
