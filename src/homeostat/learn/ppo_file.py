"""A training run as bytes and back: arrays in the layout of safetensors, and what they are for.

One file, so that it is there whole or not at all. Its manifest names the settings, the seeds, the
program and what each observation and action is; a run is taken up only where all of them are the
same, and the error says which one is not. Nothing in the bytes can run.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from homeostat.learn import ppo_bytes
from homeostat.learn.ppo_bytes import PpoFileError
from homeostat.stats.arrays import to_bytes

__all__ = ["Loaded", "PpoFileError", "curve_of", "load", "manifest_of", "save"]


class Loaded(NamedTuple):
    """A run that was read.

    Attributes:
        state: As it was saved, bit for bit.
        curve: Of every update so far, `[update, column]`, NaN = not known.
        manifest: What it is.
    """

    state: Any
    curve: np.ndarray
    manifest: Mapping[str, Any]


def save(state: Any, curve: Any, manifest: Mapping[str, Any]) -> bytes:
    """Return a run as bytes; equal runs give equal bytes.

    Args:
        state: A pytree of arrays.
        curve: One row for each update so far, `[update, column]`.
        manifest: What the run is, as JSON can say it; every word of it must be the same on return.
    """
    arrays = {name: np.asarray(leaf) for name, leaf in _named(state)}
    kinds = {name: leaf.dtype.name for name, leaf in arrays.items()}
    stored = {name: _plain_type(leaf) for name, leaf in arrays.items()}
    stored["curve"] = np.asarray(curve, np.float64)
    said = {
        "kind": ppo_bytes.KIND,
        "version": ppo_bytes.VERSION,
        "sha256": ppo_bytes.total(stored),
        "types": kinds,
        "run": dict(manifest),
    }
    text = json.dumps(said, sort_keys=True, allow_nan=False)
    return to_bytes({"manifest": text, "arrays": stored})


def load(data: bytes, like: Any, manifest: Mapping[str, Any]) -> Loaded:
    """Return the run in these bytes.

    Args:
        data: From `save`.
        like: A pytree of that shape: arrays, or what `jax.eval_shape` gives for them.
        manifest: What the run must be.

    Raises:
        PpoFileError: Too large, damaged, of another kind, or another run than this one.
    """
    said, stored = ppo_bytes.opened(data)
    found = said["run"]
    for name in sorted({*manifest, *found}):
        wanted = json.loads(json.dumps(manifest.get(name)))
        if found.get(name) != wanted:
            raise PpoFileError(f"{name}: {_difference(found.get(name), wanted)}")
    curve = curve_of(data)
    leaves = [_leaf(name, leaf, stored, said["types"]) for name, leaf in _named(like)]
    state = jax.tree.unflatten(jax.tree.structure(like), leaves)
    return Loaded(state, curve, found)


def manifest_of(data: bytes) -> Mapping[str, Any]:
    """Return what the run in these bytes is.

    Raises:
        PpoFileError: The bytes are no run.
    """
    found: Mapping[str, Any] = ppo_bytes.opened(data)[0]["run"]
    return found


def curve_of(data: bytes) -> np.ndarray:
    """Return the learning curve in these bytes, `[update, column]`.

    Raises:
        PpoFileError: The bytes are no run, or it has none.
    """
    found = ppo_bytes.opened(data)[1].get("curve")
    if found is None or found.ndim != 2:  # noqa: PLR2004 - updates and columns
        raise PpoFileError("it has no learning curve")
    return np.asarray(found)


def _leaf(name: str, like: Any, stored: Mapping[str, np.ndarray], types: Mapping[str, str]) -> Any:
    if name not in stored:
        raise PpoFileError(f"it lacks {name}")
    array = stored[name]
    if array.shape != like.shape or types.get(name) != np.dtype(like.dtype).name:
        raise PpoFileError(
            f"{name} is {types.get(name)} {array.shape}, not {like.dtype} {like.shape}"
        )
    return jnp.asarray(array.view(like.dtype))


def _named(tree: Any) -> list[tuple[str, Any]]:
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree.leaves_with_path(tree)]


def _plain_type(leaf: np.ndarray) -> np.ndarray:
    """Return the same bits in a type that the file has."""
    return leaf.view(np.int32) if leaf.dtype == np.uint32 else leaf


def _difference(found: Any, wanted: Any) -> str:
    """Return where two values part, shortly."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        names = [n for n in sorted({*found, *wanted}) if found.get(n) != wanted.get(n)]
        return "; ".join(f"{n} is {found.get(n)!r}, not {wanted.get(n)!r}" for n in names)
    if isinstance(found, list) and isinstance(wanted, list):
        more, less = [v for v in found if v not in wanted], [v for v in wanted if v not in found]
        return f"it has {more} and lacks {less}" if more or less else "another order"
    return f"{found!r:.80}, not {wanted!r:.80}"
