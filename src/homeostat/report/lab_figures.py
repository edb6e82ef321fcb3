"""What the documentation says of a run: a small summary of the results, and its table in Markdown.

A page holds the table between two markers; `spliced` puts it there, so that a command writes it
and a test can tell whether the page still says what was measured. Nothing is worked out here.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

from homeostat.base.errors import HomeostatError
from homeostat.report.lab_html import bound_text, passed
from homeostat.report.lab_results import Figure, Machine, PolicyResults, Results
from homeostat.report.lab_words import METRICS, Unit, between, meaning, written

_VERDICTS: Final = {True: "passed", False: "not passed", None: "open"}
_SHORT: Final = 12  # digits of a digest or a commit that tell it apart


class MarkerError(HomeostatError):
    """A page lacks the markers between which a table is to be put."""


class Made(Protocol):
    """What all files of figures say of how they were made."""

    @property
    def version(self) -> str:
        """Of the package."""

    @property
    def made_at(self) -> str:
        """ISO 8601 time."""

    @property
    def commit(self) -> str:
        """Of the program's repository; may be empty."""

    @property
    def command(self) -> str:
        """That makes it again."""

    @property
    def wall_s(self) -> float:
        """Seconds of computing, all workers together."""

    @property
    def machine(self) -> Machine:
        """Where it ran."""


def summary(results: Results) -> Results:
    """Return a run's results without what is by family, by scenario or by episode."""
    return replace(results, policies={k: _short(p) for k, p in results.policies.items()})


def _short(found: PolicyResults) -> PolicyResults:
    together = {k: one for k, one in found.sensitivity.items() if k.startswith("all ")}
    none: dict[str, Any] = {"codes_any": {}, "families": {}, "scenarios": {}, "worst": ()}
    return replace(found, **none, recovery=None, sensitivity=together)


def comparison(results: Results) -> str:
    """Return the table of a run: a row for each metric, a column for each policy, and the facts."""
    policies = results.policies
    heads = ["", *policies]
    rows = [
        [METRICS[name].label, *(figure_text(p.metrics.get(name), name) for p in policies.values())]
        for name in METRICS
        if any(_known(p, name) for p in policies.values())
    ]
    rows += [
        [f"{code} caused", *(_share(p.codes.get(code)) for p in policies.values())]
        for code in dict.fromkeys(code for p in policies.values() for code in p.codes)
    ]
    rows += [
        [
            f"Caused, thresholds {name}",
            *(_share(p.sensitivity.get(name)) for p in policies.values()),
        ]
        for name in dict.fromkeys(k for p in policies.values() for k in p.sensitivity)
        if name.startswith("all ")
    ]
    gates = [p.gate for p in policies.values()]
    if any(gates):
        rows.append(["The gate", *(_VERDICTS[passed(gate)] if gate else "-" for gate in gates)])
    bounds = [
        f"- {bound_text(name, found.over_episodes, found.over_scenarios)}"
        for name, found in policies.items()
        if found.over_episodes is not None
    ]
    parts = [_facts(results), *made(results), table(heads, rows), "\n".join(bounds)]
    return "\n\n".join([*parts, *(f"Note: {note}" for note in results.notes)])


def figure_text(found: Figure | None, metric: str) -> str:
    """Return a figure with its interval as a table's cell."""
    unit = meaning(metric).unit
    if found is None or found.value is None:
        return "-"
    text = written(found.value, unit)
    if found.low is None or found.high is None:
        return text
    return f"{text} ({between(found.low, found.high, unit)})"


def made(what: Made) -> list[str]:
    """Return how figures were made and where, as a paragraph and a command."""
    machine = what.machine
    dirty = " and changes that were never committed" if what.commit.endswith("+") else ""
    commit = f", commit {what.commit[:_SHORT]}{dirty}" if what.commit else ""
    where = (
        f"Made {what.made_at[:10]} with version {what.version}{commit}, on {machine.cpu} with "
        f"{machine.cores} core{'s' if machine.cores > 1 else ''}, Python {machine.python}, JAX "
        f"{machine.jax}, in {written(what.wall_s, Unit.SECONDS)} of computing, by"
    )
    return [where, f"```\n{what.command}\n```"]


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; the first column names, the others hold numbers."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def has_place(page: str, name: str) -> bool:
    """Return whether a page has a place for a table of that name."""
    return f"<!-- begin {name} -->" in page


def spliced(page: str, name: str, text: str) -> str:
    r"""Return a page with another text between a name's markers.

    Args:
        page: Markdown.
        name: `<!-- begin NAME -->` and `<!-- end NAME -->` are its markers.
        text: What shall stand between them.

    Raises:
        MarkerError: The page does not have each marker once, in this order.

    >>> spliced("a\n<!-- begin x -->\nold\n<!-- end x -->\nz\n", "x", "new").splitlines()
    ['a', '<!-- begin x -->', '', 'new', '', '<!-- end x -->', 'z']
    """
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
        raise MarkerError(f"the page needs one {begin!r} and after it one {end!r}; write them")
    found = re.compile(f"{re.escape(begin)}.*{re.escape(end)}", re.DOTALL)
    return found.sub(lambda _: f"{begin}\n\n{text}\n\n{end}", page)


def _facts(results: Results) -> str:
    last, count = results.seed_first + results.seeds - 1, len(results.scenarios)
    return (
        f"{results.catalogue}, seeds {results.seed_first} to {last}: "
        f"{count * results.seeds:,} episodes for each policy, the same for all. In parentheses "
        f"95 % intervals, resampled by scenario first and seed second. Catalogue "
        f"`{results.catalogue_digest[:_SHORT]}`, judge's thresholds "
        f"`{results.thresholds_digest[:_SHORT]}` (SHA-256)."
    )


def _known(policy: PolicyResults, metric: str) -> bool:
    found = policy.metrics.get(metric)
    return found is not None and found.value is not None


def _share(found: Figure | None) -> str:
    return figure_text(found, "catastrophic_rate_caused")
