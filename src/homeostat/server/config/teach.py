"""Turns what pydantic found into sentences that name the place, the value and the fix."""

from collections.abc import Iterator
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from homeostat.server.config.reader import Document, Path

_SHOWN = 60  # characters of a value that a message repeats
_MOST = 20  # problems that one message lists


def problems(error: ValidationError, model: type[BaseModel], document: Document) -> str:
    """Return one line per problem, the first ones if there are many."""
    found = list(dict.fromkeys(_sentences(error, model, document)))
    more = [f"... and {len(found) - _MOST} more"] if len(found) > _MOST else []
    return "\n".join([*found[:_MOST], *more])


def place(document: Document, path: Path) -> str:
    """Return `FILE:LINE: KEY` of a path."""
    line = document.line(path)
    where = document.file if line is None else f"{document.file}:{line}"
    return f"{where}: {dotted(path)}" if path else where


def dotted(path: Path) -> str:
    """Return a path as people write it.

    >>> dotted(("spec", "metrics", "scrape", 0, "url"))
    'spec.metrics.scrape[0].url'
    """
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f"{'.' if text else ''}{step}"
    return text


def close_to(name: str, known: Iterator[str] | list[str]) -> str:
    """Return the did-you-mean part of a message, or the known names if none is close."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(names)}" if names else "nothing is known here"


def _sentences(error: ValidationError, model: type[BaseModel], document: Document) -> Iterator[str]:
    for detail in error.errors(include_url=False):
        path = _path_in(document.value, detail["loc"])
        yield f"{place(document, path)}: {_what(detail, model, path)}"


def _what(detail: ErrorDetails, model: type[BaseModel], path: Path) -> str:
    match detail["type"]:
        case "extra_forbidden":
            return f"unknown key; {close_to(str(path[-1]), list(_keys_at(model, path[:-1])))}"
        case "missing":
            return "is missing; add it"
        case "enum" | "literal_error":
            wanted = str(detail.get("ctx", {}).get("expected", ""))
            names = [part.strip("' ") for part in wanted.replace(" or ", ",").split(",")]
            return (
                f"{_shown(detail['input'])} is not known; {close_to(str(detail['input']), names)}"
            )
        case "value_error":
            return str(detail["msg"]).removeprefix("Value error, ")
        case _:
            return f"{_shown(detail['input'])}: {detail['msg']}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _path_in(value: Any, loc: tuple[int | str, ...]) -> Path:
    """Return the part of pydantic's location that exists in the document, plus one missing key."""
    path: list[str | int] = []
    for step in loc:
        if isinstance(value, dict):
            path.append(step)
            if step not in value:
                break
            value = value[step]
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            path.append(step)
            value = value[step]
        else:
            break
    return tuple(path)


def _keys_at(model: type[BaseModel], path: Path) -> Iterator[str]:
    """Yield the keys that are known at a path."""
    models: set[type[BaseModel]] = {model}
    for step in path:
        models = {
            inner
            for outer in models
            for inner in (_models_of(outer, step) if isinstance(step, str) else (outer,))
        }
    for one in models:
        for name, field in one.model_fields.items():
            yield field.alias or name


def _models_of(model: type[BaseModel], key: str) -> Iterator[type[BaseModel]]:
    for name, field in model.model_fields.items():
        if key == (field.alias or name):
            yield from _models_in(field.annotation)
            return
    # A mapping's own key (a lever's name): its values are of the mapping's model.
    yield model


def _models_in(hint: Any) -> Iterator[type[BaseModel]]:
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        yield hint
    elif get_origin(hint) in {Union, UnionType, tuple, list, dict, Annotated}:
        for part in get_args(hint):
            yield from _models_in(part)
