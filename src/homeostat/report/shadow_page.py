"""A shadow's record as one self-contained page: what was seen, and what would have been done.

The page holds no script and asks no other host for anything. Values in, text out.
"""

from collections.abc import Callable, Sequence
from html import escape
from typing import Final

from homeostat.base.units import TimeNs
from homeostat.report import shadow
from homeostat.report.lab_style import CHARTS, COLOURS, PAGE
from homeostat.report.markup import Markup, join, number, tag
from homeostat.report.scales import Scale
from homeostat.report.shadow import Trouble, Watch

_WIDTH: Final = 1080.0
_BAR: Final = 22.0
_MOST: Final = 200  # incidents that one table shows
_STYLE: Final = """
.is-met { fill: var(--ok); fill-opacity: .75; } .is-missed { fill: var(--bad); }
.is-unknown { fill: var(--unknown); fill-opacity: .35; }
.is-nobody { fill: none; stroke: var(--line); }
td.said { overflow-wrap: anywhere; min-width: 16rem; }
"""
_VERDICTS: Final = {
    "did": ("done", "yes"),
    "asked": ("asked a person", "open"),
    "would": ("would have done", "yes"),
    "refused": ("would have been refused", "no"),
    "told": ("told a person", "open"),
    "held": ("would have held", "open"),
}


When = Callable[[TimeNs], str]
"""A time as people read it."""


def page(watched: Sequence[Watch], version: str, when: When) -> str:
    """Return the page.

    Args:
        watched: The deployments; those that were never looked at are left out before.
        version: Of the program that made it.
        when: Writes times.
    """
    title = "Shadow report" if shadow.all_shadow(watched) else "Report"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup(f'<meta name="generator" content="Homeostat {escape(version)}">'),
        tag("title", title),
        tag("style", Markup(COLOURS + CHARTS + PAGE + _STYLE)),
    )
    top = tag(
        "header",
        tag("h1", title),
        tag("p", _lead(watched, when), class_="lead"),
        tag(
            "p",
            "Green: the objectives were met. Red: missed. Violet: nobody could say. Empty: nobody "
            "looked. Nothing here was measured on a deployment that was changed: what would have "
            "been done was not done, so what would have come of it is not known.",
            class_="note",
        ),
        class_="top",
    )
    body = tag("body", top, tag("main", *(_section(one, when) for one in watched)))
    return f'<!doctype html>\n<html lang="en">\n{join(head, body)}\n</html>\n'


def _lead(watched: Sequence[Watch], when: When) -> str:
    troubles = sum(len(one.lasting) for one in watched)
    would = sum(shadow.counts(one)["would"] for one in watched)
    refused = sum(shadow.counts(one)["refused"] for one in watched)
    told = sum(shadow.counts(one)["told"] for one in watched)
    ended = max((one.ended or TimeNs(0) for one in watched), default=TimeNs(0))
    return (
        f"{len(watched)} deployments until {when(ended)}: {troubles} incidents; in {would} it "
        f"would have acted, in {refused} its own guards would have refused, in {told} it told a "
        "person and knew nothing better."
    )


def _section(watch: Watch, when: When) -> Markup:
    share = {one: watch.share(one) for one in (shadow.MET, shadow.MISSED, shadow.UNKNOWN)}
    facts = [
        f"watched {shadow.length(watch.watched_ns)}",
        *(f"objectives {one} {value:.1%}" for one, value in share.items() if value is not None),
        f"mode {watch.managed.mode.value}",
    ]
    if passing := len(watch.troubles) - len(watch.lasting):
        facts.append(f"{passing} suspicions that did not last")
    if watch.learning_ns:
        facts.append(f"learning for {shadow.length(watch.learning_ns)} of it")
    if watch.unwatched_ns:
        facts.append(f"{shadow.length(watch.unwatched_ns)} not watched")
    listed = tag("ul", *(tag("li", one) for one in facts), class_="facts")
    figure = tag("figure", _bar(watch, when), class_="card stack")
    return tag("section", tag("h2", watch.managed.name), listed, figure, _table(watch, when))


def _bar(watch: Watch, when: When) -> Markup:
    """Return the time watched as one bar, with a mark where an incident began."""
    began, ended = watch.began or TimeNs(0), watch.ended or TimeNs(1)
    across = Scale(0.0, max(1.0, float(ended - began)), 1.0, _WIDTH - 1.0)
    pieces = [
        tag(
            "rect",
            x=across(float(begin - began)),
            width=max(0.5, across(float(end - began)) - across(float(begin - began))),
            y=10.0,
            height=_BAR,
            class_=f"is-{said}",
        )
        for begin, end, said in watch.spans
    ]
    marks = [
        tag("path", d=_pointer(across(float(one.incident.opened_at - began))), class_="tick")
        for one in watch.lasting
    ]
    means = f"{watch.managed.name}: its objectives over the time watched, and incidents as marks."
    return tag(
        "svg",
        tag("title", means),
        tag("rect", x=1.0, y=10.0, width=_WIDTH - 2.0, height=_BAR, class_="is-nobody"),
        *pieces,
        *marks,
        tag("text", when(began), x=0.0, y=_BAR + 28.0, text_anchor="start"),
        tag("text", when(ended), x=_WIDTH, y=_BAR + 28.0, text_anchor="end"),
        viewBox=f"0 0 {number(_WIDTH)} {number(_BAR + 36.0)}",
        role="img",
        aria_label=means,
        class_="chart",
    )


def _pointer(x: float) -> str:
    return f"M{number(x)} 9L{number(x - 4.0)} 1L{number(x + 4.0)} 1Z"


def _table(watch: Watch, when: When) -> Markup:
    if not watch.lasting:
        return tag("p", "Nothing abnormal lasted.")
    heads = ("incident", "from", "lasted", "suspected", "because", "what it came to")
    rows = [_row(one, watch, when) for one in watch.lasting[:_MOST]]
    table = tag(
        "table",
        tag("thead", tag("tr", *(tag("th", head, scope="col") for head in heads))),
        tag("tbody", *rows),
    )
    label = f"Incidents of {watch.managed.name}"
    region = tag("div", table, class_="scroll", tabindex=0, role="region", aria_label=label)
    more = len(watch.lasting) - _MOST
    rest = tag("p", f"{more:,} more are in `--output json`.") if more > 0 else None
    return tag("div", region, rest)


def _row(one: Trouble, watch: Watch, when: When) -> Markup:
    incident = one.incident
    end = one.closed_at or watch.ended or incident.opened_at
    lasted = shadow.length(max(0, end - incident.opened_at))
    return tag(
        "tr",
        tag("th", incident.id, scope="row"),
        tag("td", when(incident.opened_at)),
        tag("td", lasted if one.closed_at is not None else f"{lasted}, still open"),
        tag("td", f"{incident.family.value} at {incident.subject}"),
        tag("td", "; ".join(incident.because), class_="said"),
        tag("td", *_verdicts(one), class_="said"),
    )


def _verdicts(one: Trouble) -> list[Markup]:
    if not one.decisions:
        return [tag("p", "nothing: no decision was due")]
    out = []
    for verdict, action, because in shadow.came_to(one):
        words, style = _VERDICTS[verdict]
        said = " ".join(part for part in (action, *(f"({why})" for why in because[:3])) if part)
        out.append(tag("p", tag("span", words, class_=f"badge {style}"), f" {said}"))
    return out
