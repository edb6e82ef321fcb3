"""Several deployments on one budget: what each should have, and what a unit costs the others.

Each deployment's load says how much of it so many units leave unserved; that, in the price of a
missed hour, is what units are worth (`claim`). The program divides what is shared
(`division`), and the answer is a proposal: more, less or as many as now. It passes the guards like
anybody's, and nothing here is one. A deployment of which nothing is known keeps what it has.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from homeostat.policy.claim import Claim, Kind, Resource
from homeostat.policy.division import divide
from homeostat.policy.whole import whole

SPREAD: Final = 0.2
"""Of the log of a load over the minutes that a replica takes to come: two thirds of the time it is
within a fifth. Stated, not fitted; `homeostat lab together` measures with it."""

SEVERITY: Final = 3.0
"""Times that a share left unserved counts: with a third of it unserved an hour is a missed one. The
chance of a miss alone gives nothing to who is far behind, who then never catches up. Chosen of 1
and 3, and of the chance with and without this share, on other seeds than those that are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """One deployment's.

    Attributes:
        name: Of the deployment.
        held: Units it has.
        floor: Fewest that the guards would leave it with.
        most: Most that its own bounds allow; not below the floor.
        load: Units that today's demand fills within the promise; NaN = nobody knows.
        violation: What a missed hour costs.
        unit_cost: What an hour of a unit costs it, in the same measure.
        uses: What a unit uses, by resource.
        spread: Standard deviation of the log of the load.
    """

    name: str
    held: int
    floor: int
    most: int
    load: float
    violation: float
    unit_cost: float
    uses: tuple[tuple[str, float], ...]
    spread: float = SPREAD

    def __post_init__(self) -> None:
        """Refuse what is no need.

        Raises:
            ValueError: Names the deployment, the value and the range.
        """
        for name, value in (("violation", self.violation), ("unit_cost", self.unit_cost)):
            if not 0.0 <= value < math.inf:
                raise ValueError(f"need of {self.name}: {name} must be 0 or more, got {value}")
        if not 0.0 < self.spread < math.inf:
            raise ValueError(f"need of {self.name}: spread must be above 0, got {self.spread}")
        if self.load < 0.0 or self.load == math.inf:
            raise ValueError(
                f"need of {self.name}: load must be 0 or more, or NaN for not known; "
                f"got {self.load}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one deployment should have.

    Attributes:
        name: Of the deployment.
        held: Units it has.
        units: Units proposed; as held where there is no answer or nothing is known of it.
        price: What a unit of it costs the others, in the measure of `Need.violation` an hour: 0
            where nothing is scarce, NaN where there is no answer.
        known: Whether its load is.
    """

    name: str
    held: int
    units: int
    price: float
    known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Allotment:
    """What all should have, in the order of the needs.

    Attributes:
        kind: Whether there is an answer.
        shares: Of each deployment.
        prices: Of one more of each resource, in the order of the resources.
        lost: At most so much worth an hour is lacking of the best whole answer; NaN = no answer.
        because: Why there is none; empty where there is.
    """

    kind: Kind
    shares: tuple[Share, ...]
    prices: tuple[float, ...]
    lost: float
    because: tuple[str, ...]


def shortfall(load: float, spread: float, units: int) -> float:
    """Return the share of a load that so many units leave unserved, in expectation, 0..1.

    The load is lognormal around its median; every further unit is worth less than the one before.
    Source: the newsvendor's expected shortage (Arrow, Harris & Marschak, Econometrica 19, 1951).

    Args:
        load: Its median, in units, 0 or more.
        spread: Standard deviation of its log, above 0.
        units: 0 or more.

    >>> [round(shortfall(4.0, 0.2, units), 3) for units in (0, 2, 4, 6)]
    [1.0, 0.51, 0.089, 0.002]
    """
    if load == 0.0 or units == 0:
        return float(load > 0.0)
    below = math.log(load / units) / spread
    mean = load * math.exp(0.5 * spread * spread)
    lacking = mean * _normal(below + spread) - units * _normal(below)
    return min(max(lacking / mean, 0.0), 1.0)


def _normal(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def floor_of(held: int, least: int, load: float, utilisation_max: float) -> int:
    """Return the fewest units that the guards would leave a deployment with.

    Args:
        held: Units it has; of these only those may be asked back that the load does not fill.
        least: The declared fewest.
        load: Units that the demand fills; NaN = not known, and nothing is asked back.
        utilisation_max: Above which no guard lets capacity go.
    """
    if math.isnan(load):
        return held
    return max(min(least, held), min(held, math.ceil(load / utilisation_max - 1e-9)))


def cost_of(need: Need, units: int) -> float:
    """Return what an hour with so many units costs a deployment whose load is known."""
    lacking = SEVERITY * shortfall(need.load, need.spread, units)
    return need.violation * lacking + need.unit_cost * units


def claim_of(need: Need) -> Claim:
    """Return what a deployment asks for: of one that is not known, what it holds and no more.

    Raises:
        ValueError: Its most is below its floor.
    """
    if math.isnan(need.load):
        return Claim(name=need.name, floor=need.held, worth=(0.0,), held=need.held, uses=need.uses)
    if need.most < need.floor:
        raise ValueError(
            f"need of {need.name}: most is {need.most}, below the floor of {need.floor}"
        )
    worth = tuple(-cost_of(need, units) for units in range(need.floor, need.most + 1))
    return Claim(name=need.name, floor=need.floor, worth=worth, held=need.held, uses=need.uses)


def allot(needs: Sequence[Need], resources: Sequence[Resource]) -> Allotment:
    """Return what each deployment should have.

    Raises:
        ValueError: A name is there twice, or a need uses what nobody declared.
        SolverError: What solves the program is not installed.
    """
    claims = [claim_of(one) for one in needs]
    division = divide(claims, resources)
    rounded = whole(claims, resources, division)
    price = {one.name: cost for one, cost in zip(resources, division.prices, strict=True)}
    shares = tuple(
        Share(
            name=need.name, held=need.held, units=units,
            price=sum((price[name] * amount for name, amount in need.uses), 0.0),
            known=not math.isnan(need.load),
        )
        for need, units in zip(needs, rounded.units, strict=True)
    )  # fmt: skip
    return Allotment(
        kind=division.kind, shares=shares, prices=division.prices, lost=rounded.lost,
        because=division.because,
    )  # fmt: skip
