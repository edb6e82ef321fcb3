"""False incidents on joined normal days of real series, with the level that ships."""

from detection import false_incidents
from detection.false_incidents import Form, Line
from detection.made import Asked
from detection.rows import Found, Outcome

_FORMS = {
    "long": false_incidents.LONG,
    "short": false_incidents.SHORT,
    "sample": false_incidents.SAMPLE,
}


def incidents(asked: Asked) -> Outcome:
    """Return the rows of false incidents.

    Raises:
        FileNotFoundError: A set is not there.
    """
    size = asked.size("false")
    found, texts = {}, []
    for form in _FORMS[size]:
        evidence, sources = false_incidents.played(form, seed=asked.seed)
        lines = false_incidents.counted(form, evidence, sources)
        found[f"false.{form.name}_{form.tick_s:g}s"] = _row(form, lines, short=size != "long")
        texts.append(false_incidents.table(form, evidence, sources))
    return Outcome(found, "\n\n".join(texts).replace("### ", "#### "))


def _row(form: Form, lines: list[Line], *, short: bool) -> Found:
    shipped = next(one for one in lines if one.asked is None)
    asked = next(one for one in lines if one.asked == 1.0)
    rate, low, high = shipped.whole
    return Found(
        rate,
        f"level {shipped.level:g} a tick, as shipped; {form.series} series, {form.days:g} days; "
        "with a budget of 1: {:.3g} ({:.2g} to {:.2g})".format(*asked.whole),
        low,
        high,
        peers="289,000 of alpha 0.05 a tick, 3 sigma 7,600 to 98,000, at 15 s (quoted)",
        short=short,
    )
