"""What is promised to a deployment's users: now, at every tick, and over weeks.

`latency`, `errors` and `accuracy` are judged at every tick. With `budget`, and for OpenSLO
documents, an error budget over a rolling window is kept as well (see `govern.slo`).
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from homeostat.base import names
from homeostat.base.budgets import MILLION, Method, SloSpec
from homeostat.base.evidence import LOOKBACK_SCRAPES
from homeostat.base.units import MILLISECOND, SECOND
from homeostat.govern.slo import ERRORS, WITHIN
from homeostat.server.config.guardrails import Fraction, Strict
from homeostat.server.config.openslo import LONGEST_NS, SHORTEST_NS, OpenSlo, to_spec
from homeostat.server.config.units import Duration

NAME_PATTERN: Final = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
_QUANTILE: Final = 0.95
_MONTH_NS: Final = 30 * 24 * 3600 * SECOND
# A slice needs more than one look at what the gateway says of its last scrapes.
_LOOKS_A_SLICE: Final = 2


def _rolling(length: int) -> int:
    if not SHORTEST_NS <= length <= LONGEST_NS:
        raise ValueError("must be between 1h and 92d")
    return length


class LatencySlo(Strict):
    """A quantile of the latency at the gateway stays below a limit."""

    quantile: float = Field(default=_QUANTILE, description="Only the p95 is measured.")
    below: Duration

    @model_validator(mode="after")
    def _is_measured(self) -> Self:
        if self.quantile != _QUANTILE:
            raise ValueError(f"quantile {self.quantile:g} is not measured; write {_QUANTILE}")
        return self


class RatioSlo(Strict):
    """Failed / answered stays at or below a limit."""

    at_most: Fraction


class AccuracySlo(Strict):
    """Accuracy over joined labels stays at or above a limit."""

    at_least: Fraction


class ErrorBudget(Strict):
    """How much may go wrong over a rolling window."""

    window: Annotated[Duration, AfterValidator(_rolling)] = Field(
        default=_MONTH_NS, description="Rolling; between 1h and 92d."
    )
    target: Annotated[Fraction, Field(lt=1.0)] | None = Field(
        default=None,
        description="Share that must be good: of requests for errors (default: what atMost "
        "leaves), else of the times at which it is read.",
    )
    of: Literal["looks", "requests"] = Field(
        default="looks",
        description="For latency: how often the p95 is below, or how many requests are; then the "
        "limit is a bound of the gateway's histogram.",
    )


class OpenSloRef(Strict):
    """Where an OpenSLO v1 SLO is."""

    name: Name | None = Field(default=None, description="The name of one in these files.")
    file: str | None = Field(
        default=None, min_length=1, max_length=4096, description="A file with one; or with `name`."
    )
    document: OpenSlo | None = Field(default=None, description="The SLO itself.")

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        elsewhere = self.name is not None or self.file is not None
        if elsewhere == (self.document is not None):
            raise ValueError("says name, file (or both), or document; write one of them")
        return self


class Slo(Strict):
    """One promise to the users."""

    name: Name | None = Field(default=None, description="Default for openslo: the document's.")
    latency: LatencySlo | None = None
    errors: RatioSlo | None = None
    accuracy: AccuracySlo | None = None
    budget: ErrorBudget | None = Field(
        default=None, description="Keeps an error budget of it and watches its burn rate."
    )
    openslo: OpenSloRef | None = Field(
        default=None, description="An OpenSLO v1 SLO: its error budget is kept."
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        kinds = ("latency", "errors", "accuracy", "openslo")
        said = [name for name in kinds if getattr(self, name)]
        if len(said) != 1:
            raise ValueError(f"says {said or 'nothing'}; write one of {', '.join(kinds)}")
        if self.openslo is None and self.name is None:
            raise ValueError("name is missing; add it")
        if self.openslo is not None and self.budget is not None:
            raise ValueError("budget: the OpenSLO document says its own; drop the key")
        if self.budget is not None and self.budget.of == "requests" and self.accuracy is not None:
            raise ValueError("budget.of: accuracy is not counted by requests; drop the key")
        if self.budget is not None and self.budget.target is None and self.errors is None:
            raise ValueError(f"budget.target is missing: how much of {said[0]} must be good? 99%")
        return self


Refuse = Callable[[int, str], Exception]
Find = Callable[[OpenSloRef], OpenSlo | str]


def specs(
    promises: Iterable[Slo], find: Find, interval: int, refuse: Refuse
) -> tuple[SloSpec, ...]:
    """Return the promises of which an error budget is kept.

    Args:
        promises: As they are written.
        find: Finds an OpenSLO document, or says why there is none.
        interval: The scrape interval, ns.
        refuse: Makes the error for the promise at an index.

    Raises:
        Exception: What `refuse` makes: an unknown document, a name twice, a slice too short.
    """
    found: list[SloSpec] = []
    for index, promise in enumerate(promises):
        one = _spec(promise, find)
        if isinstance(one, str):
            raise refuse(index, one)
        if one is None:
            continue
        shortest = _LOOKS_A_SLICE * LOOKBACK_SCRAPES * interval
        if one.method is Method.TIMESLICES and one.slice_ns < shortest:
            raise refuse(
                index,
                f"timeSliceWindow of {one.slice_ns / SECOND:g} s is too short: the gateway is "
                f"looked at every {shortest / _LOOKS_A_SLICE / SECOND:g} s; write "
                f"{shortest / SECOND:g}s or more, or a shorter spec.interval",
            )
        if one.name in {before.name for before in found}:
            raise refuse(index, f"{one.name!r} is promised twice; rename one")
        found.append(one)
    return tuple(found)


def _spec(promise: Slo, find: Find) -> SloSpec | str | None:
    if promise.openslo is not None:
        found = promise.openslo.document or find(promise.openslo)
        if isinstance(found, str):
            return found
        made = to_spec(found)
        return made if promise.name is None else replace(made, name=promise.name)
    budget = promise.budget
    if budget is None or promise.name is None:
        return None
    signal, subject, op, limit, target = _judged(promise)
    share = target if budget.target is None else budget.target
    return SloSpec(
        name=promise.name,
        signal=signal,
        subject=subject,
        target_ppm=min(MILLION - 1, round(share * MILLION)),
        window_ns=budget.window,
        op=op,
        limit=limit,
    )


def _judged(promise: Slo) -> tuple[str, str, str, float, float]:
    """Return signal, subject, comparison, limit and default target of a promise."""
    if promise.errors is not None:
        return ERRORS, names.GATEWAY, "lte", 0.0, 1.0 - promise.errors.at_most
    if promise.accuracy is not None:
        return names.ACCURACY, names.MODEL, "gte", promise.accuracy.at_least, 1.0
    below = 0 if promise.latency is None else promise.latency.below
    counted = promise.budget is not None and promise.budget.of == "requests"
    signal = WITHIN if counted else names.LATENCY_P95
    return signal, names.GATEWAY, "lte", below / MILLISECOND, 1.0
