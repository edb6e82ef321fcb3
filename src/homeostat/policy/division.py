"""Dividing what several deployments share: a linear program, its prices, and a proof of both.

Every deployment says what each whole unit of capacity is worth to it; units use up shared things (a
budget, a node pool). The program fills the least concave majorants of the worths to the highest
sum; its dual variables are the prices of what is shared: what one more of it would add. Nothing is
taken on trust: an answer counts once its own dual proves that none is better, by weak duality.
Among answers of equal worth the one that moves the fewest units is taken. Advice only: where
nothing fits, or nothing could be proved, everybody keeps what is held.

Source: Dantzig, "Linear Programming and Extensions" (1963), sections 6.3 and 6.4; solved by HiGHS
(Huangfu & Hall, Mathematical Programming Computation 10, 2018) as scipy carries it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from homeostat.base.errors import HomeostatError
from homeostat.policy.claim import Claim, Kind, Resource

Floats = npt.NDArray[np.float64]

_SLACK: Final = 1e-6
"""Of a room, a worth or a unit: what the solver's own tolerance of 1e-7 may leave."""


class SolverError(HomeostatError):
    """The linear program cannot be solved here: what solves it is not installed."""

    def __init__(self) -> None:
        super().__init__("this needs scipy; `pip install 'homeostat[twin]'` brings it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """Who gets how much, in the order of the claims.

    Attributes:
        kind: Whether there is an answer.
        units: Real numbers of units; what is held where there is no answer.
        prices: Of each resource, worth per unit of it, 0 or more; NaN where there is no answer.
        value: Worth of it all, by the majorants: no whole answer is worth more. NaN as above.
        because: Why there is no answer; empty where there is.
    """

    kind: Kind
    units: tuple[float, ...]
    prices: tuple[float, ...]
    value: float
    because: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Program:
    """Segments of all majorants; a segment is `width` units of one claim, each worth `slope`."""

    owner: npt.NDArray[np.int64]
    width: Floats
    slope: Floats
    uses: Floats  # [resource, segment], of a unit
    room: Floats  # [resource], beyond the floors


def divide(claims: Sequence[Claim], resources: Sequence[Resource]) -> Division:
    """Return who should have how much.

    Args:
        claims: Of deployments, each with a name of its own.
        resources: What is shared, likewise; every use of a claim is of one of them.

    Raises:
        ValueError: A name is there twice, or a claim uses what nobody declared.
        SolverError: scipy is not installed.
    """
    uses = _uses(claims, resources)
    floors = np.array([float(one.floor) for one in claims])
    short = [
        f"{one.name}: the floors need {need:g} of {one.most:g}"
        for one, need in zip(resources, uses @ floors, strict=True)
        if need > one.most + _SLACK * max(one.most, 1.0)
    ]
    if short:
        return _held(claims, resources, Kind.INFEASIBLE, short)
    program = _program(claims, resources, uses, floors)
    if not program.width.size:
        worth = sum(one.worth[0] for one in claims)
        return Division(
            kind=Kind.DIVIDED, units=tuple(floors), prices=(0.0,) * len(resources), value=worth
        )
    filled, prices, why = _solved(program)
    if why:
        return _held(claims, resources, Kind.UNKNOWN, [why])
    filled = _least_moved(program, claims, filled, prices)
    units = floors + np.bincount(program.owner, weights=filled, minlength=len(claims))
    value = sum(one.worth[0] for one in claims) + float(program.slope @ filled)
    return Division(
        kind=Kind.DIVIDED, units=tuple(units.tolist()), prices=tuple(prices.tolist()), value=value
    )


def _uses(claims: Sequence[Claim], resources: Sequence[Resource]) -> Floats:
    """Return what a unit of each claim uses of each resource `[resource, claim]`.

    Raises:
        ValueError: As `divide`.
    """
    for names in ([one.name for one in claims], [one.name for one in resources]):
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"division: {', '.join(twice)} is there twice; name each once")
    place = {one.name: at for at, one in enumerate(resources)}
    uses = np.zeros((len(resources), len(claims)))
    for column, claim in enumerate(claims):
        for name, amount in claim.uses:
            if name not in place:
                raise ValueError(
                    f"division: {claim.name} uses {name!r}, which nobody declared; "
                    f"there are {', '.join(place) or 'none'}"
                )
            uses[place[name], column] += amount
    return uses


def _program(
    claims: Sequence[Claim], resources: Sequence[Resource], uses: Floats, floors: Floats
) -> _Program:
    found = [(at, *part) for at, one in enumerate(claims) for part in one.segments]
    table = np.array(found, dtype=np.float64).reshape(-1, 3)
    owner = table[:, 0].astype(np.int64)
    room = np.array([one.most for one in resources]) - uses @ floors
    return _Program(owner, table[:, 1], table[:, 2], uses[:, owner], np.maximum(room, 0.0))


def _solved(program: _Program) -> tuple[Floats, Floats, str]:
    """Return how far each segment is filled, the prices, and why they are not to be used."""
    # Numbers near 1 for the solver, whose tolerances are absolute.
    scale = float(np.abs(program.slope).max()) or 1.0
    per = np.maximum(program.room, 1.0)
    answer = _linprog(
        -program.slope / scale, program.uses / per[:, None], program.room / per, program.width
    )
    if answer is None:
        return program.width, program.room, "the linear program was not solved"
    filled = np.clip(answer.x, 0.0, program.width)
    prices = np.maximum(-np.asarray(answer.ineqlin.marginals, np.float64), 0.0) * scale / per
    return filled, prices, _unproved(program, filled, prices)


def _unproved(program: _Program, filled: Floats, prices: Floats) -> str:
    """Return why an answer is not proved to be the best, empty = it is."""
    over = program.uses @ filled - program.room
    if not (over <= _SLACK * np.maximum(program.room, 1.0)).all():
        return "the linear program's answer does not fit"
    worth = float(program.slope @ filled)
    rest = np.maximum(program.slope - prices @ program.uses, 0.0)
    bound = float(prices @ program.room + rest @ program.width)
    size = float(np.abs(program.slope) @ program.width)
    # NaN is no proof either.
    return "" if bound - worth <= _SLACK * max(size, 1e-12) else "a better answer is not ruled out"


def _least_moved(
    program: _Program, claims: Sequence[Claim], filled: Floats, prices: Floats
) -> Floats:
    """Return the best answer that moves the fewest units; the earlier claims move first.

    By complementary slackness all best answers are those in which what is worth more than its price
    is full, what is worth less is empty, and what has a price is used up.
    """
    rest = program.slope - prices @ program.uses
    near = _SLACK * max(float(np.abs(program.slope).max()), 1e-12)
    free = np.abs(rest) <= near
    if not free.any():
        return filled
    count, places = len(claims), np.flatnonzero(free)
    fixed = np.where(free, 0.0, np.where(rest > 0.0, program.width, 0.0))
    held = np.array([float(one.held - one.floor) for one in claims])
    gap = held - np.bincount(program.owner, weights=fixed, minlength=count)
    room = program.room - program.uses @ fixed
    # Variables: the free segments, then how far above and below what is held each claim ends.
    balance = np.zeros((count, places.size + 2 * count))
    balance[program.owner[places], np.arange(places.size)] = 1.0
    balance[:, places.size :] = np.hstack([-np.eye(count), np.eye(count)])
    uses = np.hstack([program.uses[:, places], np.zeros((len(room), 2 * count))])
    per = np.maximum(program.room, 1.0)
    priced = prices * per > near
    move = 1.0 + np.arange(count) / (2.0 * count)
    answer = _linprog(
        np.concatenate([np.zeros(places.size), move, move]),
        uses[~priced] / per[~priced, None],
        room[~priced] / per[~priced],
        np.concatenate([program.width[places], np.full(2 * count, np.inf)]),
        equal=(
            np.vstack([balance, uses[priced] / per[priced, None]]),
            np.concatenate([gap, room[priced] / per[priced]]),
        ),
    )
    if answer is None:
        return filled
    moved = fixed.copy()
    moved[places] = np.clip(answer.x[: places.size], 0.0, program.width[places])
    return filled if _unproved(program, moved, prices) else moved


def _linprog(
    cost: Floats,
    uses: Floats,
    room: Floats,
    width: Floats,
    equal: tuple[Floats, Floats] | None = None,
) -> Any:
    """Return the solver's answer, None where it has none.

    Raises:
        SolverError: scipy is not installed.
    """
    try:
        from scipy.optimize import linprog  # noqa: PLC0415 - half a second, and an extra
    except ImportError:
        raise SolverError from None
    answer = linprog(
        cost,
        A_ub=uses if len(uses) else None,
        b_ub=room if len(room) else None,
        A_eq=None if equal is None else equal[0],
        b_eq=None if equal is None else equal[1],
        bounds=np.column_stack([np.zeros_like(width), width]),
        method="highs",
    )
    return answer if answer.status == 0 and np.isfinite(answer.x).all() else None


def _held(
    claims: Sequence[Claim], resources: Sequence[Resource], kind: Kind, because: Sequence[str]
) -> Division:
    return Division(
        kind=kind,
        units=tuple(float(one.held) for one in claims),
        prices=(math.nan,) * len(resources),
        value=math.nan,
        because=tuple(because),
    )
