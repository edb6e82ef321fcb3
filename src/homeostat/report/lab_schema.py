"""The JSON Schema of `results.json`, made from the values themselves so that it cannot drift.

Descriptions are those of the docstrings; nothing here knows a metric by name, because a policy may
be measured by more of them later.
"""

import dataclasses
import re
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Final, get_args, get_origin, get_type_hints

from homeostat.report.lab_results import FORMAT, Results

_SCALARS: Final = {str: "string", int: "integer", float: "number", bool: "boolean"}


def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of `results.json`."""
    definitions: dict[str, Any] = {}
    top = _object(Results, definitions)
    top["properties"]["format"] = {"const": FORMAT, "description": "Which format this is."}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://homeostat.dev/schema/lab-results.json",
        "title": "Results of a run of the lab",
        **top,
        "$defs": dict(sorted(definitions.items())),
    }


def _object(kind: type, definitions: dict[str, Any]) -> dict[str, Any]:
    hints, told = get_type_hints(kind), _attributes(kind)
    properties, required = {}, []
    for one in dataclasses.fields(kind):
        properties[one.name] = _schema_of(hints[one.name], definitions)
        if one.name in told:
            properties[one.name]["description"] = told[one.name]
        required.append(one.name)
    return {
        "type": "object",
        "description": (kind.__doc__ or "").strip().splitlines()[0],
        "properties": properties,
        "required": required,  # what a run writes is whole
        "additionalProperties": False,
    }


def _schema_of(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if isinstance(hint, UnionType):
        inner = next(a for a in arguments if a is not NoneType)
        return {"anyOf": [_schema_of(inner, definitions), {"type": "null"}]}
    if origin is tuple:
        return {"type": "array", "items": _schema_of(arguments[0], definitions)}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": _schema_of(arguments[1], definitions)}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        if hint.__name__ not in definitions:
            definitions[hint.__name__] = {}
            definitions[hint.__name__] = _object(hint, definitions)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    return {"type": _SCALARS[hint]}


def _attributes(kind: type) -> dict[str, str]:
    """Return the sentences of a Google docstring's Attributes section by name."""
    _, _, section = (kind.__doc__ or "").partition("Attributes:")
    found = re.findall(r"^ {8}(\w+): (.*(?:\n {12}.*)*)", section, re.MULTILINE)
    return {name: re.sub(r"\s+", " ", text) for name, text in found}
