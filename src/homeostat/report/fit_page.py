"""A fitted twin as one self-contained page: what is known, how well, where it holds, what it needs.

The page holds no script and asks no other host for anything. Values in, text out.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from homeostat.report import fit_charts
from homeostat.report.lab_style import CHARTS, COLOURS, PAGE
from homeostat.report.markup import Markup, join, tag

_KNOWN: Final = {
    "identified": "yes",
    "weak": "open",
    "bound": "open",
    "no": "no",
}


def page(plain: Mapping[str, Any], version: str) -> str:
    """Return the page of a fit file's content.

    Args:
        plain: A fit file's content.
        version: Of the program that made it.
    """
    given = plain["input"]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup(f'<meta name="generator" content="Homeostat {escape(version)}">'),
        tag("title", f"The twin of {given['source']}"),
        tag("style", Markup(COLOURS + CHARTS + PAGE)),
    )
    top = tag(
        "header",
        tag("h1", "The twin of what was recorded"),
        tag(
            "p",
            f"{given['rows']:,} rows of {given['source']}, one each {given['step_s']:g} s.",
            class_="lead",
        ),
        tag("p", f"SHA-256 {given['sha256']}", class_="note"),
        class_="top",
    )
    sections = [_parameters(plain), _law(plain), _plans(plain), _region(plain)]
    body = tag("body", top, tag("main", *(one for one in sections if one is not None)))
    return f'<!doctype html>\n<html lang="en">\n{join(head, body)}\n</html>\n'


def _parameters(plain: Mapping[str, Any]) -> Markup:
    rows = [
        (
            one["name"],
            _text(one["value"], one["unit"]),
            f"{_text(one['low'])} to {_text(one['high'])}" if one["low"] is not None else "-",
            tag("span", one["known"], class_=f"badge {_KNOWN[one['known']]}"),
            one["why"],
        )
        for one in plain["parameters"]
    ]
    heads = ("parameter", "value", "90 % interval", "identified", "why")
    return _section(
        "What is known",
        _table(heads, rows),
        tag("p", "Nobody may assume a value where it says no."),
    )


def _law(plain: Mapping[str, Any]) -> Markup | None:
    picture = fit_charts.law(plain)
    if picture is None:
        return None
    notes = plain["law"]
    gamma = notes["gamma"]
    said = (
        f"{notes['rows']:,} rows; the law explains {notes['r2']:.1%} of the variance; batches vary "
        f"{notes['variation']:.3g} times; {notes['limited']:.1%} of the rows count less as gross "
        "errors."
    )
    crowd = "Whether waiting requests slow a batch down was not recorded."
    if gamma["value"] is not None:
        crowd = (
            f"Each waiting request adds {1e3 * gamma['value']:.3g} ms to a batch "
            f"({1e3 * gamma['low']:.3g} to {1e3 * gamma['high']:.3g})."
        )
    figure = tag("figure", picture, class_="card stack")
    return _section("Service time on batch and concurrency", figure, tag("p", said, " ", crowd))


def _plans(plain: Mapping[str, Any]) -> Markup | None:
    parts = []
    for plan in plain["plans"]:
        best = plan["best"]
        said = "no batch and no number of replicas keeps it."
        if best is not None:
            high = "no bound" if best["high"] is None else best["high"]
            said = (
                f"a largest batch of {best['batch']} and {best['replicas']} replicas "
                f"({best['low']} to {high})"
                + ("." if best["seen"] else ", a state that was not seen: to be tried, not taken.")
            )
        promise = f"{plan['demand_rps']:.4g} requests/s within {plan['p99_s']:g} s at p99: {said}"
        parts += [tag("p", promise), fit_charts.needs(plan)]
    return _section("What is cheapest", *parts) if parts else None


def _region(plain: Mapping[str, Any]) -> Markup:
    region = plain["region"]
    rows = []
    if region is not None:
        names = (("rho", "load"), ("batch", "batch"), ("replicas", "replicas"))
        rows = [(name, _text(region[key][0]), _text(region[key][1])) for key, name in names]
    unseen = tag("ul", *(tag("li", one) for one in plain["not_identifiable"]))
    notes = [tag("p", note, class_="note") for note in plain["notes"]]
    why = "Outside what was seen the twin may advise, but nothing may be shrunk or promoted."
    return _section(
        "Where it holds",
        _table(("seen", "from", "to"), rows),
        tag("p", why),
        tag("p", "No recording of normal operation shows:"),
        unseen,
        *notes,
    )


def _section(title: str, *parts: Markup | None) -> Markup:
    return tag("section", tag("h2", title), *parts)


def _table(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> Markup:
    body = [
        tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:]))
        for row in rows
    ]
    table = tag(
        "table",
        tag("thead", tag("tr", *(tag("th", head, scope="col") for head in heads))),
        tag("tbody", *body),
    )
    return tag("div", table, class_="scroll", tabindex=0, role="region", aria_label=heads[0])


def _text(value: float | None, unit: str = "") -> str:
    if value is None:
        return "-"
    return f"{value:.4g} {unit}".strip()
