from typing import Any

import pytest
from pydantic import ValidationError

from homeostat.base.actions import ActionKind
from homeostat.base.units import MINUTE, SECOND
from homeostat.safety.tree import Compare, Const, Ref
from homeostat.safety.wire import from_wire
from homeostat.server.config.guardrails import Guardrails, to_policy


def test_a_rule_reaches_the_core_as_text_and_tree() -> None:
    rails = Guardrails.model_validate({
        "rules": [{"name": "calm", "require": "shrunk < 2", "kinds": ["scale_down"]}]
    })
    (rule,) = to_policy(rails, SECOND).rules
    assert (rule.name, rule.require, rule.kinds) == ("calm", "shrunk < 2", (ActionKind.SCALE_DOWN,))
    assert (rule.exempt, rule.otherwise) == (("undo",), "deny")
    assert from_wire(rule.tree) == Compare("<", Ref("shrunk"), Const(2))


def test_a_property_is_no_rule() -> None:
    said = {"never": [{"name": "n", "when": "shrunk > 2", "times": 2, "within": "5m"}]}
    rails = Guardrails.model_validate(said)
    assert to_policy(rails, SECOND).rules == ()
    assert rails.never is not None
    assert (rails.never[0].times, rails.never[0].within) == (2, 5 * MINUTE)


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"rules": [{"name": "n", "require": "shrank < 2"}]}, "line 1, column 1"),
        ({"rules": [{"name": "n", "require": "shrunk"}]}, "compare it with a number"),
        ({"rules": [{"name": "n", "require": "undo", "unless": ["fridays"]}]}, "no exemption"),
        ({"rules": [{"name": "n", "require": "undo"}] * 2}, "said twice"),
        ({"never": [{"name": "n", "when": "undo", "times": 2}]}, "belong together"),
        ({"never": [{"name": "n", "when": "undo", "within": "5m"}]}, "belong together"),
        ({"never": [{"name": "n", "when": "?"}]}, "line 1, column 1"),
    ],
)
def test_a_rule_that_cannot_be_read_says_where_and_why(said: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Guardrails.model_validate(said)
