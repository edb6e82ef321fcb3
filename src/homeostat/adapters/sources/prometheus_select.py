"""Selectors: which series of a Prometheus are asked for, as one query."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Final

_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,99}", re.ASCII)
_METRIC: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*", re.ASCII)
_VALUE_MAX: Final = 500
_PATTERN: Final = "~"


def matchers(select: Mapping[str, str]) -> str:
    r"""Return label matchers in PromQL.

    Args:
        select: Label to value; a value that begins with `~` is a regular expression that must
            match the whole label. At least one.

    Raises:
        ValueError: A label or value that cannot be, or nothing at all: then every series of the
            server would be asked for.

    >>> matchers({"job": "vllm", "pod": "~credit-.*"})
    'job="vllm",pod=~"credit-.*"'
    >>> matchers({"job": 'a"b\\'})
    'job="a\\"b\\\\"'
    """
    if not select:
        raise ValueError("select is empty; name the series, for example {job: credit}")
    return ",".join(_matcher(label, value) for label, value in select.items())


def exact(label: str, value: str) -> str:
    r"""Return a selector of the series with exactly this value, whatever is in it.

    For values that a server named itself: `~` is a character as any other here.

    >>> exact("job", '~a"b')
    '{job="~a\\"b"}'
    """
    # PromQL's texts are Go's, which know JSON's escapes.
    return "{" + f"{label}={json.dumps(value, ensure_ascii=False)}" + "}"


def selector(names: Iterable[str], select: Mapping[str, str]) -> str:
    """Return one selector for all of these metrics.

    Args:
        names: Metric names as they are stored (`_bucket` and `_total` included).
        select: See `matchers`.

    Raises:
        ValueError: A name that no metric can have, or see `matchers`.

    >>> selector(["up", "a:b"], {"job": "x"})
    '{__name__=~"a:b|up",job="x"}'
    """
    wanted = sorted(set(names))
    for name in wanted:
        if not _METRIC.fullmatch(name):
            raise ValueError(f"{name!r} is not a metric's name")
    return "{" + f'__name__=~"{"|".join(wanted)}",{matchers(select)}' + "}"


def together(
    names: Iterable[str], select: Mapping[str, str], label: str, values: Iterable[str]
) -> str:
    r"""Return one selector for all of these metrics of several deployments.

    Args:
        names: See `selector`.
        select: What their selections share; without `label`.
        label: The label that tells them apart.
        values: Its values, each to be matched exactly.

    Raises:
        ValueError: See `selector`.

    >>> together(["up"], {"team": "x"}, "job", ["a", "b.c"])
    '{__name__=~"up",team="x",job=~"a|b\\\\.c"}'
    """
    # Python escapes as RE2 reads it: a backslash before what is no letter and no digit.
    either = "|".join(re.escape(value) for value in sorted(set(values)))
    quoted = either.replace("\\", "\\\\").replace('"', '\\"')
    return selector(names, {**select, label: "x"}).removesuffix(f'{label}="x"}}') + (
        f'{label}=~"{quoted}"' + "}"
    )


def window(selected: str, seconds: float) -> str:
    """Return a selector of the samples as they were scraped over some time.

    >>> window("up", 59.5)
    'up[60s]'
    """
    return f"{selected}[{math.ceil(seconds)}s]"


def _matcher(label: str, value: str) -> str:
    if not _LABEL.fullmatch(label) or label == "__name__":
        raise ValueError(f"select: {label!r} is not a label that can be selected by")
    pattern = value.startswith(_PATTERN)
    text = value[1:] if pattern else value
    if not text or len(text) > _VALUE_MAX or not text.isprintable():
        raise ValueError(f"select: {label}: {value[:60]!r} selects nothing that can be meant")
    if pattern:
        _check_pattern(label, text)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'{label}={"~" if pattern else ""}"{escaped}"'


def _check_pattern(label: str, text: str) -> None:
    """Refuse what Python cannot read and what selects everything; the server judges the rest.

    Raises:
        ValueError: It is one of these.
    """
    try:
        empty = re.fullmatch(text, "")
    except re.error as error:
        raise ValueError(f"select: {label}: {text[:60]!r} is no pattern ({error})") from error
    if empty:
        raise ValueError(f"select: {label}: {text[:60]!r} also selects series without the label")
