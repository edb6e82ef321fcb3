"""Rules and properties that a policy writes in the guard language.

`rules` are demanded at every action, beside the built-in guards; `never` are properties that
`homeostat policy verify` proves or refutes. Both are read here so that an error has its line.
"""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from homeostat.base.actions import ActionKind
from homeostat.base.policy import PolicyRule
from homeostat.proof.lexer import GuardTextError
from homeostat.proof.parse import parse
from homeostat.safety.fields import TYPES
from homeostat.safety.rule import EXEMPTIONS
from homeostat.safety.wire import to_wire
from homeostat.server.config.units import Duration


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=False
    )


def _condition(text: str) -> str:
    try:
        parse(text, TYPES)
    except GuardTextError as error:
        raise ValueError(str(error)) from error
    return text


def _exemption(name: str) -> str:
    if name not in EXEMPTIONS:
        raise ValueError(f"no exemption is called {name!r}; known: {', '.join(EXEMPTIONS)}")
    return name


Condition = Annotated[str, Field(min_length=1), AfterValidator(_condition)]
Name = Annotated[str, Field(min_length=1, max_length=80)]
Exemption = Annotated[str, AfterValidator(_exemption)]


class Ruling(_Strict):
    """One rule of the policy's own; it can only forbid."""

    name: Name = Field(description="What it guards; unique within the policy.")
    require: Condition = Field(description="What must be true, in the guard language.")
    kinds: tuple[ActionKind, ...] = Field(default=(), description="Kinds of actions; all if empty.")
    unless: tuple[Exemption, ...] = Field(
        default=("undo",), description="Exemptions that lift it: " + ", ".join(EXEMPTIONS) + "."
    )
    otherwise: Literal["deny", "ask"] = Field(
        default="deny", description="What follows where it is false or cannot be decided."
    )


class Never(_Strict):
    """A property to prove: so many permitted actions like this never happen within a time."""

    name: Name = Field(description="What must never happen; unique within the policy.")
    when: Condition = Field(description="True of each action that counts, in the guard language.")
    kinds: tuple[ActionKind, ...] = Field(default=(), description="Kinds of actions; all if empty.")
    times: Annotated[int, Field(ge=1, le=6, strict=True)] = Field(
        default=1, description="How many such actions are too many."
    )
    within: Duration | None = Field(default=None, description="Within this time, up to an hour.")

    @model_validator(mode="after")
    def _timed(self) -> Self:
        if (self.times > 1) != (self.within is not None):
            raise ValueError("times above 1 and within belong together: three times within 30m")
        return self


def added(rulings: tuple[Ruling, ...]) -> tuple[PolicyRule, ...]:
    """Return the rules as the core has them."""
    return tuple(
        PolicyRule(
            name=one.name,
            require=one.require,
            tree=to_wire(parse(one.require, TYPES)),
            kinds=one.kinds,
            exempt=one.unless,
            otherwise=one.otherwise,
        )
        for one in rulings
    )
