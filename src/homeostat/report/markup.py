"""Text that is markup already, and elements built so that every value in them is escaped.

Jinja's autoescaping takes whatever has `__html__` as it is; only `tag` and `join` make such text,
and they escape what is not.
"""

from html import escape
from typing import Any


class Markup(str):
    """Text that needs no escaping."""

    __slots__ = ()

    def __html__(self) -> str:
        """Return the text, for a template that escapes everything else."""
        return self


def join(*parts: Any) -> Markup:
    """Return parts one after the other; what is not markup is escaped, None is left out."""
    return Markup(
        "".join(
            part if isinstance(part, Markup) else escape(str(part))
            for part in parts
            if part is not None
        )
    )


def tag(name: str, /, *children: Any, **attributes: Any) -> Markup:
    """Return an element.

    Args:
        name: Its tag.
        children: Markup, or text that is escaped; None is left out.
        attributes: `_` in a name becomes `-` and a trailing one is dropped; None is left out;
            floats are written with two digits at most.

    >>> tag("text", "a < b", x=1.25, class_="axis", text_anchor="end")
    '<text x="1.25" class="axis" text-anchor="end">a &lt; b</text>'
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(number(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if not children:
        return Markup(f"<{name}{written}/>")
    return Markup(f"<{name}{written}>{join(*children)}</{name}>")


def number(value: Any) -> str:
    """Return a value as an attribute shows it: coordinates need no more than two digits."""
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return str(value)
