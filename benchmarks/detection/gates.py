"""What is asked of detection: every row of the table, whoever measures it.

A gate must be met, an aim is what the best would be. `quoted.GATES` has the numbers of the public
sets, which their own tables show as well.
"""

from typing import Final, NamedTuple

from detection import quoted

PARTS: Final = (
    "checks", "nab", "aiops", "smd", "shesd", "ewma", "fleet", "false", "forecasts", "lab", "vae",
    "feedback", "speed",
)  # fmt: skip
"""What may be run by itself, in the order of the table."""


class Gate(NamedTuple):
    """One row.

    Attributes:
        key: `part.what`; no two rows have the same.
        title: For people.
        gate: What is asked; None where the issue has an aim alone.
        aim: What is hoped for, if there is such a thing.
        lower: Less is better.
        form: How figures of it are written.
    """

    key: str
    title: str
    gate: float | None
    aim: float | None = None
    lower: bool = False
    form: str = ".3f"

    @property
    def part(self) -> str:
        """Who measures it."""
        return self.key.partition(".")[0]

    def met(self, value: float, wanted: float) -> bool:
        """Return whether a value is as good as wanted; NaN never is."""
        return value <= wanted if self.lower else value >= wanted


_NAMES: Final = {
    "standard": "standard",
    "one category out": "one_out",
    "low false alarms": "low",
    "shipped threshold": "shipped",
    "VUS-PR": "vus",
    "event F1": "f1",
    "false a day": "false",
}
"""Columns of the public sets' tables -> keys."""
_SETS: Final = {"nab": "Numenta", "aiops": "AIOPS-29", "smd": "SMD-4"}


def key_of(part: str, column: str) -> str:
    """Return the key of a column of a public set's table."""
    return f"{part}.{_NAMES[column]}"


def _public() -> tuple[Gate, ...]:
    return tuple(
        Gate(
            key_of(part, column),
            f"{_SETS[part]}: {column}",
            gate,
            aim,
            lower=column == "false a day",
            form=".3f" if gate < 1.0 else ".1f",
        )
        for part, columns in quoted.GATES.items()
        for column, (gate, aim) in columns.items()
    )


GATES: Final[tuple[Gate, ...]] = (
    Gate("checks.hold", "causal, and unchanged by what must not matter: checks broken", 0.0,
         lower=True, form=".0f"),
    Gate("checks.idle", "what knows nothing: its highest event F1 on Numenta", 0.2, lower=True),
    *_public(),
    Gate("shesd.sets", "S-H-ESD: golden sets with identical indices", 15.0, form=".0f"),
    Gate("shesd.seconds", "S-H-ESD: 14,398 points at period 1,440, seconds", None, 0.15,
         lower=True),
    Gate("ewma.table", "EWMA: farthest from the oracle's run lengths, standard errors", 3.0,
         lower=True, form=".2f"),
    Gate("ewma.correlated", "EWMA: run length under AR(1) 0.9, times the nominal", 0.8, form=".2f"),
    Gate("fleet.false", "fleet: false share, the worst of five families", 0.05, lower=True),
    Gate("fleet.power", "fleet: shifts of 8 sigma found, the worst of five families", 0.9),
    Gate("fleet.real_false", "fleet: false share on joined normal days, the worst set", None, 0.05,
         lower=True),
    Gate("fleet.real_power", "fleet: shifts found there, the worst set", None, 0.9),
    Gate("false.nab_300s", "false incidents per 1,000 signals and day: Numenta, 5 min", 1.0, 0.2,
         lower=True, form=".3g"),
    Gate("false.aiops_300s", "false incidents: AIOPS, 5 min", 1.0, 0.2, lower=True, form=".3g"),
    Gate("false.aiops_15s", "false incidents: AIOPS, called 15 s", 1.0, 0.2, lower=True,
         form=".3g"),
    *(
        Gate(f"forecasts.{rival}_{minutes}",
             f"P(breach in {minutes} min): Brier skill above {words}", 0.0, form="+.2f")
        for rival, words in (("persistence", "persistence"), ("seasonal", "seasonal-naive"))
        for minutes in (5, 15, 60)
    ),
    *(
        Gate(f"forecasts.lead_{one}", f"{one}: median lead, in provisioning times", 1.0,
             form=".1f")
        for one in ("S04", "S07", "S08", "S12", "S20", "S42")
    ),
    Gate("forecasts.false", "S22 and S43: false pre-emptive actions in 7 days", 1.0, lower=True,
         form=".1f"),
    Gate("lab.f1", "43 scenarios: event F1", 0.85, 0.93),
    Gate("lab.family", "43 scenarios: correct family", 0.75, 0.85),
    Gate("lab.controls", "43 scenarios: incidents per 7 days of the controls", 1.0, lower=True,
         form=".1f"),
    Gate("vae.adds", "VAE: VUS-PR over PCA on SMD-4", 0.03),
    Gate("vae.peer", "VAE: VUS-PR less that of PyOD's VAE on SMD-4", -0.02, form="+.3f"),
    Gate("feedback.removed", "feedback: share of the frozen detector's error removed", 0.15, 0.25),
    Gate("speed.screen", "screening, points/s of one core", 1e6, 4e6, form=",.0f"),
    Gate("speed.stack", "whole multivariate stack, points/s of one core", 1e5, form=",.0f"),
    Gate("speed.growth", "time per point at 100,000 series, times that at 1,000", 1.3, lower=True,
         form=".2f"),
    Gate("speed.bytes", "KiB a series", 8.0, lower=True, form=".1f"),
    Gate("speed.vae", "VAE: training on one deployment-week, seconds", 60.0, lower=True,
         form=".1f"),
)  # fmt: skip
"""All rows, in the order of the table."""


def of(part: str) -> tuple[Gate, ...]:
    """Return the rows that a part measures."""
    return tuple(one for one in GATES if one.part == part)
