"""The `shared` section: how much there is of what deployments share, so that it can be divided.

What a deployment shares is named in its own `shares`. Without this section the names only keep two
of them from being changed at once. With it, what each should have is worked out and shown; nothing
follows it.
"""

from collections.abc import Iterable, Sequence
from typing import Self

from pydantic import Field, model_validator

from homeostat.base.policy import Managed
from homeostat.server.config.guardrails import Strict
from homeostat.server.config.targets import Name
from homeostat.server.plan import SharedPlan


class SharedSpec(Strict):
    """One thing that deployments share, and how much there is of it."""

    name: Name = Field(description="As in the `shares` of deployments, for example of a node pool.")
    slots: int | None = Field(
        default=None, ge=0, le=10_000, strict=True, description="Replicas that fit into it."
    )
    per_hour: float | None = Field(
        default=None,
        ge=0.0,
        le=1e9,
        allow_inf_nan=False,
        description="What all their replicas may cost together, in the currency of their prices.",
    )

    @model_validator(mode="after")
    def _says_how_much(self) -> Self:
        if self.slots is None and self.per_hour is None:
            raise ValueError("says no amount; give slots or perHour, or leave it out")
        return self


def plan(spec: Sequence[SharedSpec]) -> tuple[SharedPlan, ...]:
    """Return what is shared, sorted by name."""
    found = [SharedPlan(name=one.name, slots=one.slots, per_hour=one.per_hour) for one in spec]
    return tuple(sorted(found, key=lambda one: one.name))


def wrong(shared: Sequence[SharedPlan], deployments: Iterable[Managed]) -> str:
    """Return what of it cannot be divided among these deployments, with the fix; empty = nothing.

    Args:
        shared: What is shared.
        deployments: All that are managed.
    """
    managed = tuple(deployments)
    names = [one.name for one in shared]
    known = sorted({name for one in managed for name in one.shares})
    for one in shared:
        if names.count(one.name) > 1:
            return f"{one.name!r} is there twice; name it once"
        if one.name not in known:
            there = ", ".join(known) or "none"
            return f"no deployment shares {one.name!r}; write it under shares (there are: {there})"
        free = [m.name for m in managed if one.name in m.shares and m.replica_usd_per_hour <= 0.0]
        if one.per_hour is not None and free:
            return (
                f"{one.name!r} has a perHour, and nobody says what a replica of {free[0]} costs; "
                "add it under its spec.objective, or leave perHour out"
            )
        paid = sorted({m.money.currency for m in managed if one.name in m.shares and m.money})
        if one.per_hour is not None and len(paid) > 1:
            return f"{one.name!r} is paid in {' and '.join(paid)}; leave perHour out"
    return ""
