"""Other people's outages: what failed elsewhere, run against a rule of that kind and against us.

Each `Outage` is cited, and has two runs: `naive` is the rule that failed there, written anew in a
few lines from what was published; `ours` asks the shipped guard, protocol, canary judge or store.
Both say what they would have done and whether that is harm. `placed` says that the same run
without the fault does act: otherwise holding would be muteness. Nothing here is a simulation of
their systems. `table` is the page `docs/explanation/other-peoples-outages.md`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

BEGIN: Final = "<!-- outages: begin; written by `homeostat lab outages --page` -->"
END: Final = "<!-- outages: end -->"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a rule did.

    Attributes:
        does: What, in a few words.
        harm: Whether that is the harm of the outage.
    """

    does: str
    harm: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """One outage or defect that others had, and how to run it.

    Attributes:
        key: Its name in tests and tables.
        source: Where it is told: an issue, a report.
        happened: What happened there.
        naive: Run the kind of rule that failed.
        ours: Run what ships.
        placed: The same run without the fault acts; None where acting is not the question.
        fair: The naive rule, run without the fault: it must do no harm, or it would be no rule but
            a sentence; None where it is only what was published.
        no_better: Why ours does no better, empty where it does.
    """

    key: str
    source: str
    happened: str
    naive: Callable[[], Outcome]
    ours: Callable[[], Outcome]
    placed: Callable[[], bool] | None = None
    fair: Callable[[], Outcome] | None = None
    no_better: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        outage: Which one.
        naive: What the naive rule did.
        ours: What ours did.
    """

    outage: Outage
    naive: Outcome
    ours: Outcome

    @property
    def better(self) -> bool:
        """True when the naive rule does harm and ours does not."""
        return self.naive.harm and not self.ours.harm


def run(outages: Iterable[Outage]) -> tuple[Row, ...]:
    """Run each outage against both."""
    return tuple(Row(outage=one, naive=one.naive(), ours=one.ours()) for one in outages)


def table(rows: Iterable[Row]) -> str:
    """Return the rows as a Markdown table, and one line that counts them."""
    rows = tuple(rows)
    lines = [
        "| outage | what happened | a rule of that kind | Homeostat |",
        "|---|---|---|---|",
        *(_line(row) for row in rows),
        "",
        _count(rows),
    ]
    return "\n".join(lines) + "\n"


def page(text: str, rows: Iterable[Row]) -> str:
    """Return a page with its table made anew.

    Raises:
        ValueError: The page has no place for it.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN} ... {END} to write the table between")
    return f"{before}{BEGIN}\n{table(rows)}{END}{after}"


def _count(rows: tuple[Row, ...]) -> str:
    naive, ours = sum(row.naive.harm for row in rows), sum(row.ours.harm for row in rows)
    return f"{len(rows)} outages: the naive rule does the harm in {naive}, Homeostat in {ours}."


def _line(row: Row) -> str:
    ours = row.ours.does + (f" **No better:** {row.outage.no_better}" if row.ours.harm else "")
    cells = (row.outage.source, row.outage.happened, row.naive.does, ours)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
