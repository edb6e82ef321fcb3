"""A backtest as one self-contained page: what would have been seen, done and refused, and why.

The page holds no script and asks no other host for anything. Values in, text out.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from homeostat.report.backtest_chart import chart
from homeostat.report.backtest_words import minutes, moment, saved, share, skill, spread
from homeostat.report.lab_style import CHARTS, COLOURS, PAGE
from homeostat.report.markup import Markup, join, tag

Plain = Mapping[str, Any]
_OUTCOMES: Final = {
    "act": "would act",
    "page": "would tell a person",
    "blind": "would be blind",
    "watch": "would watch",
}
_BADGES: Final = {"act": "yes", "page": "open", "blind": "no", "watch": "open"}
_KEYS: Final = (
    ("action", "M12 1l5.5 5.5l-5.5 5.5l-5.5-5.5Z", "what would have been done"),
    ("person", "M7 7a4.5 4.5 0 1 0 9 0a4.5 4.5 0 1 0 -9 0Z", "a person would have been told"),
    ("code", "M8 1v12M8 1l9 3.5l-9 3.5Z", "blind: the data could not be believed"),
)


def page(plain: Plain, courses: Sequence[Mapping[str, Any]], made: str) -> str:
    """Return the page of a backtest.

    Args:
        plain: As `homeostat backtest --output json` prints it.
        courses: The lines of each deployment's picture, in the same order.
        made: When, for people.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup(f'<meta name="generator" content="Homeostat {escape(plain["version"])}">'),
        tag("title", "Backtest"),
        tag("style", Markup(COLOURS + CHARTS + PAGE)),
    )
    films = [
        _deployment(one, course) for one, course in zip(plain["deployments"], courses, strict=True)
    ]
    body = tag("body", _top(plain, made), tag("main", _table(plain), *films, _premises(plain)))
    return f'<!doctype html>\n<html lang="en">\n{join(head, body)}\n</html>\n'


def _top(plain: Plain, made: str) -> Markup:
    total = plain["total"]
    would = total["would"]
    facts = (
        ("deployments", total["deployments"]),
        ("one look each", f"{plain['step_s']:g} s"),
        ("missed", f"{total['missed_minutes']:.0f} min"),
        ("unknown", f"{total['unknown_minutes']:.0f} min"),
        ("breaches", total["breaches"]),
        ("detected", share(total["detected"])),
        ("foreseen", share(total["foreseen"])),
        ("would act", would["act"]),
        ("would tell a person", would["page"]),
        ("blind", would["blind"]),
    )
    return tag(
        "header",
        tag("h1", "What would have been"),
        tag(
            "p",
            "Recorded history, replayed through the same senses, guards and decisions that run "
            "live, in shadow. Nothing was done. In brackets: where the figure may lie (90 %).",
            class_="lead",
        ),
        tag(
            "ul", *(tag("li", tag("b", value), f" {name}") for name, value in facts), class_="facts"
        ),
        tag("p", f"Made {made} by Homeostat {plain['version']}.", class_="note"),
        class_="top",
    )


def _table(plain: Plain) -> Markup:
    heads = (
        "deployment", "missed", "unknown", "breaches", "detected", "after", "foreseen", "before",
        "forecast skill", "without a breach, a week", "saved",
    )  # fmt: skip
    rows = [_row(one) for one in plain["deployments"]]
    return tag("section", tag("h2", "By deployment"), _grid("By deployment", heads, rows))


def _row(one: Plain) -> tuple[Any, ...]:
    found = one["summary"]
    return (
        tag("a", one["name"], href=f"#d-{one['name']}"),
        f"{found['missed_minutes']:.0f} min",
        f"{found['unknown_minutes']:.0f} min",
        found["breaches"],
        share(found["detected"]),
        minutes(found["delay_s"]),
        share(found["foreseen"]),
        minutes(found["lead_s"]),
        skill(found["forecast"]),
        spread(found["extra_per_week"]),
        saved(found["saved"]),
    )


def _deployment(one: Plain, course: Mapping[str, Any]) -> Markup:
    keys = tag(
        "ul",
        *(
            tag(
                "li",
                tag(
                    "svg",
                    tag("path", d=path, class_="dot"),
                    viewBox="0 0 24 14",
                    class_=f"mark {kind}",
                    aria_hidden="true",
                ),
                said,
            )
            for kind, path, said in _KEYS
        ),
        tag("li", "shaded: an objective was missed"),
        class_="keys",
    )
    film = tag("figure", tag("div", chart(one, course), class_="film"), keys, class_="card stack")
    said = (
        f"{moment(one['from_s'])} to {moment(one['to_s'])} UTC, from {one['source']}. Known in "
        f"{one['known']:,} of {one['steps']:,} steps. Promised: p95 "
        f"{one['promised']['latency_p95_ms']:g} ms, errors {one['promised']['error_ratio']:.2%}. "
        f"Recorded: {', '.join(one['recorded']) or 'nothing'}."
    )
    return tag(
        "section",
        tag("h2", one["name"]),
        tag("p", said),
        film,
        _breaches(one),
        _incidents(one),
        id=f"d-{one['name']}",
    )


def _breaches(one: Plain) -> Markup:
    if not one["breaches"]:
        return tag("p", "No objective was seen to be missed.")
    heads = ("breach", "missed", "foreseen", "detected", "incident")
    rows = [
        (
            moment(b["from_s"]),
            f"{b['missed_minutes']:.0f} min",
            _apart(b["foreseen_s"], b["from_s"]),
            _apart(b["detected_s"], b["from_s"])
            + (" (the baselines were being learnt)" if b["while_learning"] else ""),
            b["incident"] or (f"{b['standing']} was open before" if b.get("standing") else "-"),
        )
        for b in one["breaches"]
    ]
    return _grid("Breaches", heads, rows)


def _apart(at_s: float | None, from_s: float) -> str:
    if at_s is None:
        return "no"
    apart = (at_s - from_s) / 60.0
    return f"{apart:.0f} min after it began" if apart >= 0 else f"{-apart:.0f} min before it began"


def _incidents(one: Plain) -> Markup:
    if not one["incidents"]:
        return tag("p", "Nothing was suspected for long enough to be confirmed.")
    heads = ("incident", "confirmed", "suspected", "why", "what", "refused", "saved")
    rows = [
        (
            incident["id"],
            moment(incident["confirmed_s"]),
            f"{incident['family']} at {incident['subject']}",
            _lines(incident["because"]),
            join(
                tag(
                    "span", _OUTCOMES[incident["outcome"]],
                    class_=f"badge {_BADGES[incident['outcome']]}",
                ),
                tag("small", incident["action"]["text"]) if incident["action"] else None,
            ),
            _lines([f"{r['action']}: {'; '.join(r['because'])}" for r in incident["refused"]]),
            saved(incident["saved"]),
        )
        for incident in one["incidents"]
    ]  # fmt: skip
    return _grid("Incidents", heads, rows)


def _lines(texts: Sequence[str]) -> Markup:
    return tag("ul", *(tag("li", text) for text in texts)) if texts else Markup("-")


def _premises(plain: Plain) -> Markup:
    return tag(
        "section",
        tag("h2", "What this rests on"),
        tag("ul", *(tag("li", one, class_="c0") for one in plain["premises"]), class_="bounds"),
    )


def _grid(label: str, heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> Markup:
    body = [
        tag("tr", tag("th", row[0], scope="row", class_="num"), *(tag("td", c) for c in row[1:]))
        for row in rows
    ]
    table = tag(
        "table",
        tag("thead", tag("tr", *(tag("th", head, scope="col") for head in heads))),
        tag("tbody", *body),
    )
    return tag("div", table, class_="scroll", tabindex=0, role="region", aria_label=label)
