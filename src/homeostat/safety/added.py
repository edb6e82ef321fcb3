"""The rules that a policy adds to the built-in ones.

They run beside them and can only forbid: an action passes when both sets of rules let it pass. A
rule that cannot be read raises, which the guard turns into a denial of everything.
"""

from collections.abc import Iterable

from homeostat.base.policy import PolicyRule
from homeostat.safety.rule import ACTIVE, EXEMPTIONS, Effect, Rule
from homeostat.safety.tree import fields_of
from homeostat.safety.wire import from_wire


def added_rules(rules: Iterable[PolicyRule]) -> tuple[Rule, ...]:
    """Return a policy's rules as the guards run them.

    Raises:
        ValueError: A tree, an exemption or an effect cannot be read.
    """
    return tuple(_added(rule) for rule in rules)


def _added(rule: PolicyRule) -> Rule:
    require = from_wire(rule.tree)
    unknown = [name for name in rule.exempt if name not in EXEMPTIONS]
    if unknown:
        raise ValueError(f"rule {rule.name!r}: no exemption is called {unknown[0]!r}")
    # What cannot be decided never passes: it asks where the rule asks, and is denied elsewhere.
    effect: Effect = "ask" if rule.otherwise == "ask" else "deny"
    read = ", ".join(f"{name} {{{name}}}" for name in dict.fromkeys(fields_of(require)))
    text = rule.require.replace("{", "{{").replace("}", "}}")
    return Rule(
        id="policy",
        name=rule.name,
        source="the policy's own",
        require=require,
        message=f"demands {text}; {read}" if read else f"demands {text}",
        kinds=frozenset(rule.kinds) or ACTIVE,
        exempt=rule.exempt,
        on_false=effect,
        on_unknown=effect,
    )
