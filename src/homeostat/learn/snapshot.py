"""A trained policy as it is served in the loop: its network by NumPy, and what it was let do.

A snapshot is called by the SHA-256 of its file, so that a journal says which one decided and a
replay takes no other. Whoever reads files keeps what was opened (`server.snapshots`).
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from homeostat.learn.ppo_bytes import PpoFileError, opened

Floats = npt.NDArray[np.float64]

_LAYERS: Final = 6  # matrix and bias of three layers


class Snapshot:
    """One trained policy, of one seed.

    Args:
        digest: SHA-256 of its file, hex.
        layers: Matrices `[in, out]` and biases `[out]` in turn.
        granted: Kinds of actions that it was let do in training.
        data: Its file.
    """

    def __init__(
        self, digest: str, layers: Sequence[Floats], granted: frozenset[str], data: bytes
    ) -> None:
        self.digest, self.granted, self.data = digest, granted, data
        self._layers = tuple(layers)

    def logits(self, told: Sequence[float]) -> list[float]:
        """Return one number for each line of the menu; as `ppo_net.logits`, in float64.

        Args:
            told: Its numbers, then their bits.
        """
        first, shift, second, move, last, end = self._layers
        x = np.tanh(np.asarray(told, np.float64) @ first + shift)
        out: list[float] = (np.tanh(x @ second + move) @ last + end).tolist()
        return out


def opened_snapshot(data: bytes, observations: Sequence[str], actions: Sequence[str]) -> Snapshot:
    """Return the policy in a file.

    Args:
        data: The file, of `homeostat train` or `homeostat lab choose`.
        observations: What it will be told, in order.
        actions: What it will choose from, in order.

    Raises:
        PpoFileError: Damaged, of several seeds, for other numbers or actions, or trained without
            guards.
    """
    said, stored = opened(data)
    run = said["run"]
    _check(run, observations, actions)
    layers = _layers(stored, len(observations), len(actions))
    granted = frozenset(str(kind) for kind in run["rules"]["granted"])
    return Snapshot(hashlib.sha256(data).hexdigest(), layers, granted, data)


def _check(run: Mapping[str, Any], observations: Sequence[str], actions: Sequence[str]) -> None:
    for what, wanted in (("observations", observations), ("actions", actions)):
        if run.get(what) != list(wanted):
            raise PpoFileError(f"it was trained with other {what} than this version has")
    seeds, rules = run.get("seeds"), run.get("rules")
    if not isinstance(seeds, list) or len(seeds) != 1:
        raise PpoFileError(
            "it has several seeds; `homeostat lab choose` keeps the best of them"
            if isinstance(seeds, list)
            else "it does not say of which seed it is"
        )
    if not isinstance(rules, dict) or not isinstance(rules.get("granted"), list):
        raise PpoFileError("it does not say what it was let do")
    if rules.get("guarded") is not True:
        raise PpoFileError("it was trained without guards, for comparison only")


def _layers(stored: Mapping[str, np.ndarray], seen: int, actions: int) -> list[Floats]:
    """Return the policy's layers, of which each fits the one before.

    Raises:
        PpoFileError: One is not there, does not fit, or holds what is no number.
    """
    out: list[Floats] = []
    width = seen
    for number in range(_LAYERS):
        name = f".policy[{number}]"
        found = stored.get(name)
        shape = () if found is None else found.shape[1:]
        fits = len(shape) == 2 - number % 2 and shape[0] == width
        if found is None or not fits or found.shape[0] != 1 or found.dtype.kind != "f":
            raise PpoFileError(f"{name} is not there, or does not fit")
        if not np.isfinite(found).all():
            raise PpoFileError(f"{name} holds what is no number")
        width = shape[-1]
        out.append(found[0].astype(np.float64))
    if width != actions:
        raise PpoFileError(f"it has {width} actions, not {actions}")
    return out
