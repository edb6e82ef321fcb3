"""What an exporter of accelerators would say of the twin's replicas: read off its state.

The twin's own host memory share is of host or device, whichever is nearer to its limit
(`twin.memory.share`); what a device holds by itself is worked out here by the same law, so that
nothing in the compiled twin changes. Exporters read bytes: there is no error of measurement, and
where a scrape hides what the host says of a process, it hides this too.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from homeostat.base import names
from homeostat.twin import signals
from homeostat.twin.memory import DEVICE_FREE_GIB
from homeostat.twin.outputs import Scrape
from homeostat.twin.params import Params

Floats = npt.NDArray[np.float64]


class Told(Scrape):
    """A scrape, and what an exporter of accelerators says beside it.

    A type of its own: what the compiled twin returns stays as it is, and kept programs with it.

    Attributes:
        device: Device memory in use as a share [N, S]; NaN = not reported.
    """

    device: Any = None


_HOST: Final = signals.SLOT_SIGNALS.index(names.MEMORY_SHARE)
_BUSY: Final = signals.SLOT_SIGNALS.index(signals.GPU_SHARE)


def told(scrape: Scrape, params: Params, state: Any) -> Scrape:
    """Return a scrape with what is told of each slot's device.

    Args:
        scrape: Batched, NumPy `[N, ...]`.
        params: Of at least as many deployments.
        state: The twin's at the scrape, of as many; one that knows no slots tells nothing.
    """
    live = getattr(state, "live", None)
    if live is None:
        return scrape
    number = len(scrape.phase)
    leaked = np.asarray(live.slots.device_gib, np.float64)[:number]
    base = np.asarray(params.memory.base_gib, np.float64)[:number]
    limit = np.asarray(params.memory.limit_gib, np.float64)[:number]
    fresh = (base / np.maximum(limit, 1e-9))[:, None]
    share = fresh + (1.0 - fresh) * np.clip(leaked / DEVICE_FREE_GIB, 0.0, 1.0)
    hidden = ~np.isfinite(np.asarray(scrape.slot)[..., _HOST])
    return Told(**vars(scrape), device=np.where(hidden, np.nan, share))


def plain(scrape: Scrape) -> Scrape:
    """Return a scrape as the twin made it: what is compiled for that takes no other."""
    if not isinstance(scrape, Told):
        return scrape
    return Scrape(**{name: value for name, value in vars(scrape).items() if name != "device"})


def gauges(scrape: Scrape) -> Floats:
    """Return memory in use, all there is (1) and busy share `[N, S, 3]`; NaN where untold."""
    if not isinstance(scrape, Told):
        return np.full((*np.shape(scrape.phase), 3), np.nan)
    used = np.asarray(scrape.device, np.float64)
    # A mean over a scrape with its error of measurement; an exporter never says more than all.
    busy = np.minimum(np.asarray(scrape.slot, np.float64)[..., _BUSY], 1.0)
    return np.stack([used, np.where(np.isfinite(used), 1.0, np.nan), busy], axis=-1)
