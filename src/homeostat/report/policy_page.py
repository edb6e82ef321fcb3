"""Verdicts on policies as one self-contained page: what is proved, and what breaks the rest."""

from collections.abc import Sequence
from html import escape
from typing import Any, Final, Protocol

from homeostat.report.lab_style import CHARTS, COLOURS, PAGE
from homeostat.report.markup import Markup, join, tag
from homeostat.report.policy_picture import picture
from homeostat.report.policy_words import Step, clock, sentence

_BADGE: Final = {"proved": "yes", "refuted": "no", "unknown": "open"}


class Verdict(Protocol):
    """What became of one promise; see `proof.verify.Result`."""

    @property
    def name(self) -> str:
        """The promise's name."""

    @property
    def promise(self) -> str:
        """One sentence."""

    @property
    def verdict(self) -> Any:
        """`proved`, `refuted` or `unknown`."""

    @property
    def counterexample(self) -> Sequence[Step]:
        """What breaks it."""

    @property
    def why(self) -> str:
        """For an unknown verdict."""

    @property
    def outage(self) -> str:
        """What the operator would live through."""


def page(policies: Sequence[tuple[str, Sequence[Verdict]]], version: str) -> str:
    """Return the page.

    Args:
        policies: Each policy's name and the verdicts on its promises.
        version: Of the program that proved.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup(f'<meta name="generator" content="Homeostat {escape(version)}">'),
        tag("title", "What the policies promise"),
        tag("style", Markup(COLOURS + CHARTS + PAGE)),
    )
    lead = "Proved holds in every state of the guards; refuted was confirmed by the real guards."
    top = tag("header", tag("h1", "What the policies promise"), tag("p", lead, class_="lead"))
    sections = [_section(name, verdicts) for name, verdicts in policies]
    body = tag("body", top, tag("main", *sections))
    return f'<!doctype html>\n<html lang="en">\n{join(head, body)}\n</html>\n'


def _section(name: str, verdicts: Sequence[Verdict]) -> Markup:
    rows = [
        tag(
            "tr",
            tag("td", one.name),
            tag("td", tag("span", one.verdict, class_=f"badge {_BADGE[one.verdict]}")),
            tag("td", one.promise if not one.why else f"{one.promise} Unknown: {one.why}."),
        )
        for one in verdicts
    ]
    heads = tag(
        "tr", *(tag("th", head, scope="col") for head in ("promise", "verdict", "in words"))
    )
    broken = [_broken(one) for one in verdicts if one.counterexample]
    table = tag("table", tag("thead", heads), tag("tbody", *rows))
    return tag("section", tag("h2", name), table, *broken)


def _broken(one: Verdict) -> Markup:
    steps = [
        tag("li", tag("b", clock(step.drawn.at_ms / 1000)), " ", sentence(step))
        for step in one.counterexample
    ]
    outage = tag("p", f"The outage it allows: {one.outage}") if one.outage else None
    return tag(
        "div",
        tag("h3", f"{one.name}: what breaks it"),
        picture(one.counterexample, f"{one.name}: replicas in rotation over time"),
        tag("ol", *steps),
        outage,
    )
