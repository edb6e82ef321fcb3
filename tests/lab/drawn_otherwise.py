"""What the catalogue draws otherwise than its source says, and why; written into the docs when run.

`catalogue_source.yaml` holds the ranges of the source's parameters. Every difference has a reason
here, and a test refuses one without, or a reason that nothing needs any more.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from homeostat.lab.scenario import Choice, Range, Spec
from homeostat.report.lab_figures import spliced
from homeostat.testing.catalogue import catalogue

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "reference" / "scenarios.md"
COPY: Final = Path(__file__).with_name("catalogue_source.yaml")
PLACE: Final = "drawn-otherwise"

_FIT: Final = "so that the pool can double within 32 slots"
_PROMISE: Final = "softer: the promise must hold until the fault begins"
_LABELS: Final = "later labels tell nothing within an episode"
_DAYS: Final = "an episode of four hours must see a whole one: time is compressed"
_AGE: Final = "a share of the replicas: much less of a few would be none"
_FLAG: Final = "yes or no, nothing between"
_WHO: Final = "whether the other pool is hit too is what makes a shift right or wrong"

REASONS: Final[Mapping[tuple[str, str], str]] = {
    ("S02", "lb"): "balancers by number: 0 random, 0.5 two choices, 1 least outstanding",
    ("S02", "replicas"): f"softer: {_FIT}",
    ("S03", "base_rho"): _PROMISE,
    ("S04", "headroom_gib"): "the device memory that the twin gives a replica takes its place",
    ("S04", "correlated_age"): _AGE,
    ("S05", "base_rho"): _PROMISE,
    ("S07", "second_wave"): "yes or no becomes how high: 1, half of the time, is none",
    ("S08", "period_s"): _DAYS,
    ("S09", "rho"): f"{_PROMISE}, and retries must be able to sustain the storm",
    ("S12", "kb_per_req"): "follows from `time_to_limit_s`, so that every draw reaches the limit",
    ("S12", "time_to_limit_s"): "takes the place of `kb_per_req`, which comes out at 0.5 to 2000",
    ("S12", "age_spread"): _AGE,
    ("S13", "replicas"): f"softer: {_FIT}",
    ("S14", "mean_tokens"): "in the deployment's `kv_headroom`: how many jobs fit",
    ("S15", "bmax"): "powers of two away from the 16 that is right: 8 and 16 would be no fault",
    ("S15", "rho"): _PROMISE,
    ("S17", "min_replicas"): "those that `lost_fraction` leaves",
    ("S17", "lost_fraction"): "what makes replicas load is spelled out: half of them or all end",
    ("S18", "B_without_dep"): _FLAG,
    ("S19", "limit"): "of the requests in flight before: every draw reaches it (2 to 500)",
    ("S19", "rho"): _PROMISE,
    ("S22", "period_s"): _DAYS,
    ("S23", "label_delay_s"): _LABELS,
    ("S25", "B_pinned_schema"): _WHO,
    ("S26", "B_without_feature"): _WHO,
    ("S27", "scale"): "units change by known constants",
    ("S27", "B_unaffected"): _WHO,
    ("S28", "B_fresh"): _WHO,
    ("S29", "label_delay_s"): _LABELS,
    ("S29", "canary"): "the rollout's steps pass these shares on the way to all traffic",
    ("S32", "scope"): "the release is at fault, or a share of the replicas (`scope_share`)",
    ("S32", "scope_share"): "the share of replicas where `scope` is one of them",
    ("S33", "as_zero"): _FLAG,
    ("S33", "signal_share"): "half of the signals are lost, or all",
    ("S36", "scale"): "units are wrong by known constants; 1024 is taken for 1000",
    ("S37", "period_s"): "the other autoscaler acts at every scrape, each 15 s",
    ("S39", "verify_s"): "how long a verification takes is the controller's own",
    ("S39", "err"): "what calls for the rollback is spelled out: a release that fails requests",
    ("S42", "peak_ratio"): "follows from the two loads: the peak is 2 to 4.7 times the quiet",
    ("S42", "ramp_s"): "the same range, written where it is used",
}


def source() -> dict[str, dict[str, Any]]:
    """Return the source's parameters by scenario, as its file writes them."""
    return dict(yaml.safe_load(COPY.read_text(encoding="utf-8")))


def rows() -> list[tuple[str, str, str, str]]:
    """Return what is drawn otherwise: scenario, parameter, what the source says, what is here."""
    found, said = [], source()
    for one in catalogue():
        asked = said.get(one.id, {})
        for name in dict.fromkeys([*asked, *one.params]):
            if not _same(asked.get(name), one.params.get(name)):
                words = (_asked(asked.get(name)), _drawn(one.params.get(name)))
                found.append((one.id, name, *words))
    return found


def table() -> str:
    """Return the differences with their reasons, as a table in Markdown.

    Raises:
        KeyError: A difference has no reason.
    """
    lines = ["| scenario | parameter | source | drawn here | why |", "|---|---|---|---|---|"]
    lines += [
        f"| {identity} | `{name}` | {asked} | {drawn} | {REASONS[identity, name]} |"
        for identity, name, asked, drawn in rows()
    ]
    return "\n".join(lines)


def _same(asked: Any, drawn: Spec | None) -> bool:
    """Return whether a range of the source is drawn whole; its two ends as a choice are not."""
    pair = isinstance(asked, list) and len(asked) == 2
    return pair and isinstance(drawn, Range) and [drawn.low, drawn.high] == asked


def _asked(value: Any) -> str:
    if value is None:
        return "-"
    numbers = all(isinstance(one, int | float) for one in value)
    return f"{value[0]:g} to {value[1]:g}" if numbers else ", ".join(map(str, value))


def _drawn(value: Spec | None) -> str:
    match value:
        case Range(low=low, high=high):
            return f"{low:g} to {high:g}"
        case Choice(options=options):
            return f"one of {', '.join(f'{one:g}' for one in options)}"
        case _:
            return "-"


if __name__ == "__main__":
    PAGE.write_text(spliced(PAGE.read_text(encoding="utf-8"), PLACE, table()), encoding="utf-8")
