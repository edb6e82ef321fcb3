"""The twin, compiled for a size: fleets of deployments side by side, each its own episode.

Compilation happens at the first call of each batch size, unless another process of the same program
has kept what it compiled; whoever starts the process decides where that is (see `store`).
"""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import jax
from jax import Array

from homeostat.twin import kernel, tables
from homeostat.twin.faults import Faults
from homeostat.twin.kept import Kept, blank
from homeostat.twin.orders import Orders
from homeostat.twin.outputs import Scrape, Truth
from homeostat.twin.params import Params
from homeostat.twin.shapes import SCRAPE_S, SLOT_COUNTS, TICK_S
from homeostat.twin.state import State

# Measured on the twin: the newer emitters hand hundreds of small kernels to LLVM one by one, which
# takes twice the time and three times the memory to compile, and they run no faster; and a
# library's reductions over a few slots cost more than they save.
OPTIONS: Final[Mapping[str, bool | int | str]] = MappingProxyType({
    "xla_cpu_use_fusion_emitters": False,
    "xla_backend_optimization_level": 1,
    "xla_cpu_experimental_ynn_fusion_type": "",
})
_SPENDS: Final = ("live", "quality", "channel", "labels")
_Kept = dict[str, Any]
_Spent = dict[str, Any]


class Program:
    """`init` and `advance` of a fleet [N, ...], compiled.

    Args:
        slots: Replica slots of every deployment, one of `shapes.SLOT_COUNTS`.
        ticks: Seconds between two scrapes.
        tick_s: Length of the model's own tick; see `kernel.advance`.
    """

    def __init__(self, slots: int, ticks: int = SCRAPE_S, tick_s: float = TICK_S) -> None:
        if slots not in SLOT_COUNTS:
            raise ValueError(f"the twin is compiled for {SLOT_COUNTS} slots, not for {slots}")
        self.slots = slots
        self.ticks = ticks
        self.tick_s = tick_s
        self.curves = tables.load()
        step = partial(kernel.advance, ticks=ticks, tick_s=tick_s)
        options = dict(OPTIONS)
        first = jax.vmap(kernel.init, in_axes=(0, 0, 0, None))
        size = f"{slots} slots, {ticks} ticks of {tick_s} s, {sorted(options.items())}"
        self._init = Kept(jax.jit(first, compiler_options=options), f"init: {size}", blank(State))
        fleet = jax.vmap(step, in_axes=(0, 0, 0, 0, None))

        def spend(
            params: Params, faults: Faults, kept: _Kept, spent: _Spent, orders: Orders, curves: Any
        ) -> tuple[State, Truth, Scrape]:
            return fleet(params, faults, State(**kept, **spent), orders, curves)

        # The old state's memory is used for the new one; not that of the key and of the last
        # orders, which callers hold as well.
        advance = jax.jit(spend, donate_argnums=(3,), compiler_options=options)
        found = (blank(State), blank(Truth), blank(Scrape))
        self._advance = Kept(advance, f"advance: {size}", found)
        self._look = Kept(jax.jit(fleet, compiler_options=options), f"look: {size}", found)

    def init(self, params: Params, faults: Faults, keys: Array) -> State:
        """Return a fleet at the beginning of its episodes.

        Args:
            params: Deployments [N, ...].
            faults: Of each [N, ...].
            keys: PRNG keys [N, 2].
        """
        state: State = self._init(params, faults, keys, self.curves)
        return state

    def advance(
        self, params: Params, faults: Faults, state: State, orders: Orders
    ) -> tuple[State, Truth, Scrape]:
        """Return the fleet after one scrape; `state` is used up.

        Args:
            params: Deployments [N, ...].
            faults: Of each [N, ...].
            state: From `init` or from here; do not use it again (see `look` for that).
            orders: Of each [N, ...].

        Returns:
            The state, the truth of every second [N, ticks, ...], and the scrape.
        """
        fields = vars(state)
        kept = {name: value for name, value in fields.items() if name not in _SPENDS}
        spent = {name: fields[name] for name in _SPENDS}
        after: tuple[State, Truth, Scrape] = self._advance(
            params, faults, kept, spent, orders, self.curves
        )
        return after

    def look(
        self, params: Params, faults: Faults, state: State, orders: Orders
    ) -> tuple[State, Truth, Scrape]:
        """Return what `advance` would, and leave `state` usable."""
        after: tuple[State, Truth, Scrape] = self._look(params, faults, state, orders, self.curves)
        return after
