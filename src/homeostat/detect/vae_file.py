"""A model as bytes and back: arrays in a safetensors file, and a JSON manifest with its SHA-256.

Nothing here reads or writes files, and nothing in the bytes can run. The manifest says what the
model is for; bytes that do not match it, or hold anything but such a model, are refused.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from homeostat.base.errors import HomeostatError
from homeostat.detect.vae_config import Config
from homeostat.detect.vae_inputs import Inputs
from homeostat.detect.vae_model import CALIBRATION, Fitted, Model, Normal
from homeostat.detect.vae_network import Weights
from homeostat.detect.vae_reference import Reference
from homeostat.stats.arrays import from_bytes, to_bytes

_KIND: Final = "homeostat.vae"
_VERSION: Final = 1
_CLASSES: Final = (Model, Inputs, Weights, Reference, Normal)
# A model of 1,000 columns is 4 MB; what is far more is not one.
_SIZE_MAX: Final = 64 << 20
_MANIFEST_MAX: Final = 1 << 20


class VaeFileError(HomeostatError):
    """Bytes that are not a model of this kind; judging goes on with the model before, or none."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"autoencoder refused: {reason}; fit it anew or bring the right file")


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A model's two files.

    Attributes:
        weights: The arrays, safetensors.
        manifest: What they are, JSON, UTF-8.
    """

    weights: bytes
    manifest: bytes


class Loaded(NamedTuple):
    """A model that was read.

    Attributes:
        model: The model, bit for bit what was saved.
        config: The settings that it was fitted with.
        columns: Names of its columns, in order.
        digest: SHA-256 of the weights, as the manifest says it.
    """

    model: Model
    config: Config
    columns: tuple[str, ...]
    digest: str


def save(fitted: Fitted, config: Config, columns: Sequence[str]) -> Saved:
    """Return a fitted model as bytes; equal models give equal bytes.

    Args:
        fitted: From `vae_model.fit`.
        config: The settings it was fitted with.
        columns: Names of its columns, in order.

    Raises:
        ValueError: There are not as many names as columns.
    """
    width = fitted.model.inputs.low.shape[0]
    if len(columns) != width:
        raise ValueError(f"vae: {len(columns)} names for a model of {width} columns")
    weights = to_bytes(fitted.model)
    manifest = {
        "kind": _KIND,
        "version": _VERSION,
        "sha256": hashlib.sha256(weights).hexdigest(),
        "columns": list(columns),
        "config": asdict(config),
        "training": {
            "elbo_before": fitted.elbo[0],
            "elbo_held_out": fitted.elbo[fitted.best],
            "rounds": len(fitted.elbo) - 1,
            "windows_taught": fitted.taught,
            "windows_held_out": fitted.held_out,
            "active_latent": fitted.active,
        },
    }
    text = json.dumps(manifest, indent=1, sort_keys=True, allow_nan=False)
    return Saved(weights=weights, manifest=text.encode())


def load(saved: Saved, columns: Sequence[str] | None = None) -> Loaded:
    """Return the model in these bytes.

    Args:
        saved: Both files.
        columns: What the columns must be, None to take them from the manifest.

    Raises:
        VaeFileError: Too large, damaged, of another kind or version, or for other columns.
    """
    if len(saved.weights) > _SIZE_MAX or len(saved.manifest) > _MANIFEST_MAX:
        raise VaeFileError(f"{len(saved.weights)} and {len(saved.manifest)} bytes are too many")
    said = _manifest(saved.manifest)
    found = hashlib.sha256(saved.weights).hexdigest()
    if found != said["sha256"]:
        raise VaeFileError(f"sha256 is {found}, the manifest says {said['sha256']}")
    config, names = _settings(said)
    if columns is not None and names != tuple(columns):
        raise VaeFileError(f"it is for columns {names}, not {tuple(columns)}")
    try:
        model = from_bytes(saved.weights, _CLASSES)
    except (ValueError, AttributeError, TypeError, OverflowError, MemoryError) as error:
        raise VaeFileError(f"the weights cannot be read: {error}") from error
    wanted = _expected(config, len(names))
    _same(model, wanted, "model")
    return Loaded(model, config, names, found)


def _manifest(data: bytes) -> dict[str, Any]:
    try:
        said = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise VaeFileError(f"the manifest is not JSON: {error}") from error
    if not isinstance(said, dict) or said.get("kind") != _KIND:
        raise VaeFileError(f"the manifest is not of kind {_KIND!r}")
    if said.get("version") != _VERSION:
        raise VaeFileError(f"version {said.get('version')!r} is not {_VERSION}")
    if not isinstance(said.get("sha256"), str):
        raise VaeFileError("the manifest has no sha256")
    return said


def _settings(said: dict[str, Any]) -> tuple[Config, tuple[str, ...]]:
    names, config = said.get("columns"), said.get("config")
    if not isinstance(names, list) or not names or not all(isinstance(one, str) for one in names):
        raise VaeFileError(f"columns must be names, got {names!r:.80}")
    if not isinstance(config, dict):
        raise VaeFileError("the manifest has no settings")
    try:
        hidden = tuple(config["hidden"])
        return Config(**{**config, "hidden": hidden}), tuple(names)
    except (KeyError, TypeError, ValueError) as error:
        raise VaeFileError(f"its settings cannot be used: {error}") from error


def _expected(config: Config, columns: int) -> Model:
    """Return a model's shapes and types, with no values in them."""
    wide, many, few = config.window * columns, config.components, config.latent
    outer, inner = config.hidden

    def double(*shape: int) -> Any:
        return np.broadcast_to(np.float64(0.0), shape)

    def single(*shape: int) -> Any:
        return np.broadcast_to(np.float32(0.0), shape)

    def layer(before: int, after: int) -> tuple[Any, Any]:
        return single(before, after), single(1, after)

    return Model(
        Inputs(
            double(columns), double(columns), double(1, wide), double(wide, many),
            double(1, 1), double(1, many),
        ),
        Weights(
            (*layer(many, outer), *layer(outer, inner)), single(many, few), layer(inner, few),
            layer(inner, few), (*layer(few, inner), *layer(inner, outer)), single(few, many),
            layer(outer, many), single(1, many),
        ),
        Reference(double(1, few), double(few, few), double(1), double(1, few)),
        Normal(
            double(1, columns), double(1, columns), double(1, columns), double(1, columns),
            single(CALIBRATION), single(CALIBRATION), np.zeros(2, dtype=np.int32),
        ),
    )  # fmt: skip


def _same(found: Any, wanted: Any, where: str) -> None:
    """Refuse a tree of other types, shapes or values than a model's.

    Raises:
        VaeFileError: It is one.
    """
    if isinstance(wanted, tuple):
        if type(found) is not type(wanted) or len(found) != len(wanted):
            raise VaeFileError(
                f"{where} is a {type(found).__name__} and not what a model has there"
            )
        names = getattr(wanted, "_fields", range(len(wanted)))
        for name, one, other in zip(names, found, wanted, strict=True):
            _same(one, other, f"{where}.{name}")
        return
    if not isinstance(found, np.ndarray) or found.dtype != wanted.dtype:
        raise VaeFileError(f"{where} is not an array of {wanted.dtype}")
    if found.shape != wanted.shape:
        raise VaeFileError(f"{where} has shape {found.shape}, its settings say {wanted.shape}")
    if found.dtype == np.int32 and found.min(initial=1) < 1:
        raise VaeFileError(f"{where} holds {found.min()}, must be 1 or more")
    empty = wanted.size == CALIBRATION and where.startswith("model.normal")
    if np.isnan(found).any() or not (empty or np.isfinite(found).all()):
        raise VaeFileError(f"{where} holds values that are not numbers")
