"""Prices, budgets and what savings are measured against, as people write them.

Amounts become thousandths of the currency: prices are rounded up, budgets down.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from homeostat.base.budgets import MoneyPolicy, Price
from homeostat.base.policy import GuardPolicy
from homeostat.server.config.guardrails import Strict

_PATTERN: Final = r"^[0-9]{1,9}(\.[0-9]{1,4})? [A-Z]{3}$"
_TENTHS: Final = 10  # of a thousandth: four decimals are written, three are kept


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount of money.

    Attributes:
        tenths: Ten-thousandths of the currency.
        currency: ISO 4217 code.
    """

    tenths: int
    currency: str

    @property
    def up(self) -> int:
        """Thousandths, rounded up."""
        return -(-self.tenths // _TENTHS)

    @property
    def down(self) -> int:
        """Thousandths, rounded down."""
        return self.tenths // _TENTHS


def amount(value: Any) -> Amount:
    """Return an amount of money.

    Raises:
        ValueError: It is no amount with its currency.

    >>> amount("2.1034 EUR").up, amount("2.1034 EUR").down
    (2104, 2103)
    """
    if isinstance(value, Amount):
        return value
    if not isinstance(value, str) or not re.match(_PATTERN, value):
        raise ValueError(f"{value!r} is no amount; write a number and its currency: '2.10 USD'")
    number, _, currency = value.partition(" ")
    whole, _, part = number.partition(".")
    return Amount(int(whole) * 1000 * _TENTHS + int(part.ljust(4, "0")), currency)


Cash = Annotated[
    Amount,
    BeforeValidator(amount),
    WithJsonSchema({"type": "string", "pattern": _PATTERN, "examples": ["2.10 USD"]}),
]
Pool = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]


class PoolPrice(Strict):
    """What one replica of a pool costs an hour."""

    replica_hour: Cash | None = Field(default=None, description="The replica itself.")
    gpu_hour: Cash | None = Field(default=None, description="One of its accelerators.")
    gpus: Annotated[int, Field(ge=1, le=1024, strict=True)] | None = Field(
        default=None, description="How many it has; default 1 with gpuHour."
    )

    @model_validator(mode="after")
    def _says_a_price(self) -> Self:
        if self.replica_hour is None and self.gpu_hour is None:
            raise ValueError("says no price; write replicaHour, gpuHour or both")
        if self.gpus is not None and self.gpu_hour is None:
            raise ValueError("gpus without gpuHour; write what one costs")
        return self

    @property
    def tenths(self) -> int:
        """What a replica costs an hour with its accelerators, in ten-thousandths."""
        own = 0 if self.replica_hour is None else self.replica_hour.tenths
        each = 0 if self.gpu_hour is None else self.gpu_hour.tenths
        return own + each * (self.gpus or 1)


class Budgets(Strict):
    """What may be spent."""

    per_hour: Cash | None = Field(default=None, description="On everything that runs.")
    per_day: Cash | None = Field(default=None, description="Days of UTC.")
    per_month: Cash | None = Field(default=None, description="Calendar months, UTC.")

    @model_validator(mode="after")
    def _says_one(self) -> Self:
        if not any((self.per_hour, self.per_day, self.per_month)):
            raise ValueError("says no budget; write perHour, perDay or perMonth")
        return self


class Reference(Strict):
    """What savings are measured against."""

    replicas: Annotated[int, Field(ge=1, le=1_000_000, strict=True)] = Field(
        description="So many replicas of the dearest pool, running all the time."
    )


class ObjectiveSpec(Strict):
    """What things cost."""

    cost_per_replica_hour: Cash | None = Field(
        default=None, description="Of every pool that `prices` does not name."
    )
    prices: dict[Pool, PoolPrice] = Field(default_factory=dict, max_length=100)
    budget: Budgets | None = None
    reference: Reference | None = None

    @property
    def currencies(self) -> tuple[str, ...]:
        """Every currency that is named, sorted."""
        said: list[Amount | None] = [self.cost_per_replica_hour]
        for price in self.prices.values():
            said += [price.replica_hour, price.gpu_hour]
        if self.budget is not None:
            said += [self.budget.per_hour, self.budget.per_day, self.budget.per_month]
        return tuple(sorted({one.currency for one in said if one is not None}))

    @model_validator(mode="after")
    def _one_currency(self) -> Self:
        if len(self.currencies) > 1:
            raise ValueError(
                f"names {' and '.join(self.currencies)}; amounts are not converted: write one"
            )
        return self

    @property
    def milli(self) -> tuple[int, ...]:
        """Every price of a replica that is named, in thousandths, rounded up."""
        usual = self.cost_per_replica_hour
        named = tuple(-(-price.tenths // _TENTHS) for price in self.prices.values())
        return named if usual is None else (*named, usual.up)


def money(
    spec: ObjectiveSpec, guard: GuardPolicy, refuse: Callable[[str], Exception]
) -> tuple[MoneyPolicy | None, GuardPolicy]:
    """Return prices and budgets, and the guard's settings with the hour's budget.

    None where neither a price nor a budget is declared. Where a budget is and a price is not, the
    pool has no price: that is not a price of zero.

    Args:
        spec: As it is written.
        guard: The guard's settings.
        refuse: Makes the error for what does not fit together.

    Raises:
        Exception: What `refuse` makes: two currencies.
    """
    budget, said = spec.budget or Budgets.model_construct(), spec.model_fields_set
    hour = guard.budget_usd_per_hour
    currency = spec.currencies[0] if spec.currencies else "USD"
    if hour is not None and currency != "USD":
        raise refuse(
            f"guardrails.budgetPerHour is in USD, prices are in {currency}; write "
            f"objective.budget.perHour in {currency} instead"
        )
    if budget.per_hour is not None:
        own = budget.per_hour.down / 1000
        own = own if hour is None else min(hour, own)
        guard = replace(guard, budget_usd_per_hour=own)
    if not said and hour is None:
        return None, guard  # nothing is said of money
    prices = [
        Price(pool=pool, milli=-(-price.tenths // _TENTHS))
        for pool, price in sorted(spec.prices.items())
    ]
    if spec.cost_per_replica_hour is not None:
        prices.append(Price(pool="", milli=spec.cost_per_replica_hour.up))
    policy = MoneyPolicy(
        currency=currency,
        prices=tuple(prices),
        day_milli=None if budget.per_day is None else budget.per_day.down,
        month_milli=None if budget.per_month is None else budget.per_month.down,
        reference_replicas=None if spec.reference is None else spec.reference.replicas,
    )
    return policy, guard
