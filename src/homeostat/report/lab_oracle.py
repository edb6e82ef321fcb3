"""What the clairvoyant was measured to be worth as a yardstick: values, JSON and a table."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from homeostat.report.lab_figures import made, table
from homeostat.report.lab_made import Provenance
from homeostat.report.lab_results import Figure, read, to_plain

FORMAT: Final = "homeostat.dev/lab-oracle/v1"
GAIN: Final = 0.01
"""What twice the effort may gain at most, as a share of what the search gains over holding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beaten:
    """A scenario in which a policy was worth more than the clairvoyant.

    Attributes:
        scenario: Its id.
        more: By how much, mean of J over the seeds, in hourly budgets.
        low: Lower end of its 95 % interval; None = there is one seed.
    """

    scenario: str
    more: float
    low: float | None = None

    @property
    def beyond(self) -> bool:
        """Whether that is more than its interval; with one seed, anything is."""
        return self.low is None or self.low > 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One policy by the yardstick.

    Attributes:
        share: Of the oracle's gain over holding, a ratio of sums.
        mttr_ratio: Its repair times against the oracle's.
        beaten: Where it was worth more, the largest first.
    """

    share: Figure
    mttr_ratio: Figure
    beaten: tuple[Beaten, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubled:
    """What twice the search found in a scenario, each begun from holding alone.

    Attributes:
        hold: J of holding, summed over the seeds, in hourly budgets.
        usual: J of the search.
        twice: J of one of twice the effort.
    """

    hold: float
    usual: float
    twice: float

    @property
    def gain(self) -> float | None:
        """What it gained, as a share of what the search gains; None where that gains nothing."""
        most = self.usual - self.hold
        return (self.twice - self.usual) / most if most > 0.0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Oracle(Provenance):
    """What `lab oracle` found, with how it was made.

    Attributes:
        seed_first: First seed.
        seeds: Episodes of each scenario.
        scenarios: How many.
        shown: Policies that it started from.
        policies: Measured by it, and unknown to it unless shown.
        doubled: By scenario.
    """

    format: str = FORMAT
    seed_first: int
    seeds: int
    scenarios: int
    shown: tuple[str, ...]
    policies: Mapping[str, Measured]
    doubled: Mapping[str, Doubled]

    @property
    def passes(self) -> bool:
        """Whether nobody beats it beyond the interval, and twice the effort gains too little."""
        gains = [one.gain for one in self.doubled.values()]
        return not any(
            found.beyond for one in self.policies.values() for found in one.beaten
        ) and all(gain is not None and gain < GAIN for gain in gains)


def to_json(found: Oracle) -> str:
    """Return the text of `oracle.json`."""
    return json.dumps(to_plain(found), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def from_json(text: str) -> Oracle:
    """Return what an `oracle.json` holds.

    Raises:
        ResultsError: It is no JSON, of another format, or a field is missing or of another type.
    """
    return read(Oracle, text, FORMAT, "oracle", "oracle")


def markdown(found: Oracle) -> str:
    """Return how far each policy comes, where the yardstick is too short, and what twice does."""
    facts = (
        f"{found.scenarios} scenarios, {_seeds(found.seeds)} from {found.seed_first}. The oracle "
        f"started from {', '.join(found.shown)}, and knew nothing of what the others did. J is in "
        f"hourly budgets. {found.catalogue}, `{found.catalogue_digest[:12]}` (SHA-256)."
    )
    rows = [[str(cell) for cell in row.values()] for row in _rows(found)]
    heads = ["", "share of its gain", "repair time against its", "worth more in", "most"]
    parts = [facts, *made(found), table(heads, rows)]
    if found.doubled:
        twice = [
            [name, *(f"{value:.2f}" for value in (one.hold, one.usual, one.twice)), _gain(one)]
            for name, one in found.doubled.items()
        ]
        parts.append("A search of twice the effort, both begun from holding alone:")
        parts.append(table(["", "hold", "search", "twice", "gained"], twice))
    return "\n\n".join(parts)


def shown(found: Oracle, *, plain: bool) -> Any:
    """Return what a command prints: the whole as plain values, or a row for each policy."""
    if plain:
        return to_plain(found)
    return _rows(found) + [
        {"policy": f"{name}, twice the search", "share": "", "repair": "", "more": _gain(one)}
        for name, one in found.doubled.items()
    ]


def _rows(found: Oracle) -> list[dict[str, Any]]:
    return [
        {
            "policy": name + " (shown)" * (name in found.shown),
            "share": _figure(one.share),
            "repair": _figure(one.mttr_ratio),
            "more": _where(one.beaten),
            "most": f"{one.beaten[0].more:.3f}" if one.beaten else "",
        }
        for name, one in found.policies.items()
    ]


def _where(beaten: tuple[Beaten, ...]) -> str:
    beyond = [one.scenario for one in beaten if one.beyond]
    within = len(beaten) - len(beyond)
    words = [", ".join(sorted(beyond))] if beyond else []
    words += [f"{within} within the interval"] if within else []
    return "; ".join(words) or "none"


def _gain(one: Doubled) -> str:
    return "nothing to gain" if one.gain is None else f"{100.0 * one.gain:.2f} %"


def _figure(one: Figure) -> str:
    if one.value is None:
        return "not measured"
    ends = "" if one.low is None or one.high is None else f" ({one.low:.2f} to {one.high:.2f})"
    return f"{one.value:.2f}{ends}"


def _seeds(count: int) -> str:
    return "one seed" if count == 1 else f"{count} seeds"
