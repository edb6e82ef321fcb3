"""The policy in force as people read it: its rules, what lifts them, and its settings."""

import re
from dataclasses import fields
from functools import cache
from typing import Any, Final

from homeostat.base.policy import GuardPolicy, Managed
from homeostat.proof.spelling import spell
from homeostat.safety.rules import RULES

_TABLE: Final = re.compile(r"^.*?G\d+(?: and G\d+)*: ")
_APART: Final = frozenset({"rules", "limits", "auto_kinds", "granted_by", "earn_kinds"})
"""Settings that have a place of their own."""


def policy(managed: Managed) -> dict[str, Any]:
    """Return one deployment's policy."""
    guard = managed.guard
    return {
        "deployment": managed.name,
        "mode": managed.mode.value,
        "digest": managed.policy_digest,
        "granted_by": guard.granted_by,
        "auto": [kind.value for kind in guard.auto_kinds],
        "earn": [kind.value for kind in guard.earn_kinds],
        "limits": [
            {
                "lever": limit.lever,
                "low": limit.low,
                "high": limit.high,
                "step_up": limit.step_up,
                "step_down": limit.step_down,
            }
            for limit in guard.limits
        ],
        "settings": _settings(guard),
        "rules": _own(guard),
    }


def _settings(guard: GuardPolicy) -> list[dict[str, Any]]:
    """Return every setting that is a number or a switch, and whether it is the default."""
    default = GuardPolicy()
    found = []
    for field in fields(GuardPolicy):
        value = getattr(guard, field.name)
        if field.name in _APART or not isinstance(value, bool | int | float | None):
            continue
        shown = {"name": field.name, "value": value}
        found.append(shown | {"default": value == getattr(default, field.name)})
    return found


def _own(guard: GuardPolicy) -> list[dict[str, Any]]:
    return [
        {
            "id": "own",
            "name": rule.name,
            "words": "",
            "require": rule.require,
            "otherwise": rule.otherwise,
            "exempt": list(rule.exempt),
            "kinds": [kind.value for kind in rule.kinds],
        }
        for rule in guard.rules
    ]


@cache
def built_in() -> tuple[dict[str, Any], ...]:
    """Return the rules that every policy has, G0 to G15."""
    return tuple(
        {
            "id": rule.id,
            "name": rule.name,
            "words": _TABLE.sub("", rule.source),
            "require": spell(rule.require),
            "otherwise": rule.on_false,
            "exempt": list(rule.exempt),
            "kinds": sorted(kind.value for kind in rule.kinds),
        }
        for rule in RULES
    )
