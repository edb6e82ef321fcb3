"""A run of the lab as one self-contained page: tables, curves, episodes, definitions.

The page holds no script and asks no other host for anything. Values in, text out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jinja2 import DictLoader, Environment, StrictUndefined

from homeostat.report import lab_tables as tables
from homeostat.report.charts import Axis, Look, Point, Series, points, steps, swatch
from homeostat.report.lab_page import TEMPLATE
from homeostat.report.lab_results import Bound, Check, Figure, Results
from homeostat.report.lab_style import CHARTS, COLOURS, PAGE
from homeostat.report.lab_words import CODES, METRICS, POLICIES, Unit, written
from homeostat.report.markup import Markup, tag
from homeostat.report.scales import time_text
from homeostat.report.strips import glyph

_WIDE: Final = 640.0
_SMALL: Final = 340.0
_VERDICTS: Final = {True: ("passed", "yes"), False: ("not passed", "no"), None: ("open", "open")}
_SIGNS: Final = {True: ("✓", "pass"), False: ("✕", "fail"), None: ("?", "unknown")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """A worst episode with its picture.

    Attributes:
        policy: Who decided.
        title: For example `S07 flash crowd, seed 3`.
        why: For example `K1 K2, 25 min violated`.
        picture: As `strips.strip` draws it.
    """

    policy: str
    title: str
    why: str
    picture: Markup


def page(results: Results, films: Sequence[Film] = ()) -> str:
    """Return `report.html`.

    Args:
        results: What was found.
        films: The worst episodes, worst first.
    """
    drawn = tables.looks(results.policies)
    environment = Environment(
        loader=DictLoader({"page": TEMPLATE}), autoescape=True, undefined=StrictUndefined
    )
    parts = {
        "style": Markup(COLOURS + CHARTS + PAGE),
        "run": _run(results),
        "policies": [_named(name, look) for name, look in drawn.items()],
        "headline": tables.headline(results, drawn),
        "gates": _gates(results, drawn),
        "bounds": _bounds(results, drawn),
        "recovery": _recovery(results, drawn),
        "scatter": _scatter(results, drawn),
        "every": tables.every_metric(results, drawn),
        "codes": tables.codes(results),
        "sensitivity": tables.sensitivity(results),
        "families": tables.families(results, drawn),
        "heats": _heats(results),
        "strips": [_film(film, drawn) for film in films],
        "keys": _keys(),
        "words": _words(results),
    }
    return environment.get_template("page").render(**parts, contents=_contents(parts))


def standalone(picture: Markup) -> str:
    """Return a chart as an SVG file of its own, with its colours inside."""
    style = f"<style>{COLOURS}{CHARTS}.chart {{ background: var(--card); }}</style>"
    head, _, rest = picture.partition(">")
    return f'{head} xmlns="http://www.w3.org/2000/svg">{style}{rest}\n'


def bound_text(policy: str, episodes: Bound, scenarios: Bound | None) -> str:
    r"""Return both bounds in words.

    >>> none = Bound(events=0, n=4300, upper=0.000696)
    >>> bound_text("hold", none, Bound(events=0, n=43, upper=0.0673))[-75:]
    'For faults nobody wrote down, it may still be up to 6.7\xa0% of the scenarios.'
    """
    rate = _unbroken(episodes.upper)
    count = f"{episodes.events:,}" if episodes.events else "none"
    said = (
        f"{policy} caused a catastrophe in {count} of {episodes.n:,} episodes: for episodes of "
        f"this catalogue the true share is at most {rate} (95 %)."
    )
    if scenarios is None:
        return said
    hit = f"{scenarios.events} of" if scenarios.events else "none of"
    return (
        f"{said} It happened in {hit} {scenarios.n} scenarios. For faults nobody wrote down, it "
        f"may still be up to {_unbroken(scenarios.upper)} of the scenarios."
    )


def _unbroken(share: float) -> str:
    """Return a percentage that stays on one line."""
    return written(share, Unit.SHARE).replace(" ", "\u00a0")


def _run(results: Results) -> dict[str, Any]:
    count, seeds = len(results.scenarios), results.seeds
    last = results.seed_first + seeds - 1
    machine = results.machine
    return {
        "title": "What the lab found",
        "version": results.version,
        "lead": f"{len(results.policies)} policies in {count} scenarios with {seeds} "
        f"seed{'s' if seeds > 1 else ''} each: {count * seeds:,} simulated episodes per policy, "
        "the same ones for all.",
        "facts": [
            ("Catalogue", results.catalogue),
            ("Seeds", f"{results.seed_first} to {last}"),
            ("Made", results.made_at),
            ("Computing", written(results.wall_s, Unit.SECONDS)),
            ("Machine", f"{machine.cpu}, {machine.cores} cores"),
            ("Homeostat", results.version),
        ],
        "notes": results.notes,
        "command": results.command,
        "identity": [
            ("Catalogue (SHA-256)", results.catalogue_digest),
            ("Judge's thresholds (SHA-256)", results.thresholds_digest),
            ("Machine", f"{machine.cpu}, {machine.cores} cores"),
            ("Python, JAX", f"{machine.python}, {machine.jax}"),
        ],
    }


def _contents(parts: Mapping[str, Any]) -> list[tuple[str, str]]:
    wanted = (
        ("headline", "At a glance", True),
        ("gate", "The gate", parts["gates"]),
        ("bounds", "What a count says", parts["bounds"]),
        ("curves", "Recovery and cost", parts["recovery"] or parts["scatter"]),
        ("metrics", "Every metric", True),
        ("families", "By family", parts["families"]),
        ("scenarios", "By scenario", parts["heats"]),
        ("episodes", "The worst episodes", parts["strips"]),
        ("words", "What the words mean", True),
        ("again", "Run it again", True),
    )
    return [(key, name) for key, name, there in wanted if there]


def _named(name: str, look: Look) -> dict[str, Any]:
    return {"name": name, "tone": look.tone, "swatch": swatch(look)}


def _gates(results: Results, drawn: Mapping[str, Look]) -> list[dict[str, Any]]:
    found = []
    for name, policy in results.policies.items():
        if policy.gate:
            verdict, kind = _VERDICTS[passed(policy.gate)]
            checks = [_check(one) for one in policy.gate]
            found.append(
                _named(name, drawn[name]) | {"verdict": verdict, "kind": kind, "checks": checks}
            )
    return found


def passed(gate: Sequence[Check]) -> bool | None:
    """Return whether every condition holds; None when none fails but one cannot be judged."""
    if any(check.passed is False for check in gate):
        return False
    return None if any(check.passed is None for check in gate) else True


def _check(check: Check) -> dict[str, str]:
    sign, kind = _SIGNS[check.passed]
    word = {"pass": "holds", "fail": "fails", "unknown": "cannot be judged"}[kind]
    return {
        "name": check.name,
        "because": check.because,
        "sign": sign,
        "kind": kind,
        "word": word,
    }


def _bounds(results: Results, drawn: Mapping[str, Look]) -> list[dict[str, Any]]:
    return [
        {"tone": drawn[n].tone, "text": bound_text(n, p.over_episodes, p.over_scenarios)}
        for n, p in results.policies.items()
        if p.over_episodes is not None
    ]


def _recovery(results: Results, drawn: Mapping[str, Look]) -> dict[str, Any] | None:
    series = [
        Series(name=name, x=p.recovery.t_s, y=p.recovery.share, look=drawn[name])
        for name, p in results.policies.items()
        if p.recovery is not None and p.recovery.t_s
    ]
    if not series:
        return None
    axis = Axis(label="share recovered", text=lambda v: f"{100 * v:.0f} %")
    means = "Higher and sooner is better; the table beside it holds the same in figures."
    made = {
        key: steps(series, title="Recovery curves", means=means, y=axis, width=width)
        for key, width in (("wide", _WIDE), ("small", _SMALL))
    }
    return made | {"table": tables.recovered(results, drawn)}


def _scatter(results: Results, drawn: Mapping[str, Look]) -> dict[str, Any] | None:
    found = []
    for name, policy in results.policies.items():
        cost = _span(policy.metrics.get("cost_usd_per_hour"))
        kept = _span(policy.metrics.get("sla_compliance"))
        if cost is not None and kept is not None:
            found.append(Point(name=name, x=cost, y=kept, look=drawn[name]))
    if not found:
        return None
    x = Axis(label="spend per hour (USD)", text=lambda v: f"{v:g}")
    y = Axis(label="SLA compliance", text=lambda v: f"{100 * v:.4g} %")
    means = "Spend against SLA compliance; the first table holds the same in figures."
    return {
        key: points(found, title="Cost and SLA", means=means, x=x, y=y, width=width)
        for key, width in (("wide", _WIDE), ("small", _SMALL))
    }


def _span(figure: Figure | None) -> tuple[float, float, float] | None:
    if figure is None or figure.value is None:
        return None
    low = figure.value if figure.low is None else figure.low
    high = figure.value if figure.high is None else figure.high
    return low, figure.value, high


def _heats(results: Results) -> list[dict[str, Any]]:
    if not any(p.scenarios for p in results.policies.values()):
        return []
    rates = [written(v, Unit.SHARE) for v in tables.RATE_STEPS]
    times = [time_text(v) for v in tables.TIME_STEPS]
    return [
        {"table": tables.heat_codes(results), "scale": _scale("none", rates)},
        {"table": tables.heat_repair(results), "scale": _scale(f"up to {times[0]}", times)},
    ]


def _scale(first: str, limits: Sequence[str]) -> list[str]:
    between = [f"up to {limit}" for limit in limits[1:]]
    return [first, *between, f"above {limits[-1]}"]


def _film(film: Film, drawn: Mapping[str, Look]) -> dict[str, Any]:
    look = drawn[film.policy]
    return {
        "title": film.title,
        "policy": film.policy,
        "why": film.why,
        "tone": look.tone,
        "swatch": swatch(look),
        "picture": film.picture,
    }


def _keys() -> list[dict[str, Any]]:
    lines = {
        "is-demand": "asked",
        "is-good": "good answers; ready replicas",
        "is-capacity": "capacity within the SLO",
        "is-held": "replicas paid for",
        "is-slice": "quality for the singled-out users",
        "limit": "limit",
    }
    found = [{"picture": _key(style), "text": text} for style, text in lines.items()]
    marks = {"action": "an action", "person": "a person is told", "code": "a K-code fires"}
    return found + [{"picture": _mark(kind), "text": text} for kind, text in marks.items()]


def _key(style: str) -> Markup:
    path = "M1 12V4H23V12Z" if style == "is-demand" else "M1 7H23"
    shape = tag("path", d=path, class_=style)
    return tag("svg", shape, viewBox="0 0 24 14", aria_hidden="true")


def _mark(kind: str) -> Markup:
    shape = tag("g", glyph(kind, 12.0), class_=f"mark {kind}")
    return tag("svg", shape, viewBox="0 0 24 21", aria_hidden="true")


def _words(results: Results) -> list[tuple[str, str]]:
    measured = {name for p in results.policies.values() for name in p.metrics}
    metrics = [(m.label, m.means) for name, m in METRICS.items() if name in measured]
    policies = [(name, POLICIES[name]) for name in results.policies if name in POLICIES]
    return [*policies, *metrics, *CODES.items()]
