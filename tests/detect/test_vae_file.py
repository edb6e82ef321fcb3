"""A model comes back bit for bit; anything else is refused with a reason."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from vae_by_hand import NAMES, STRAIGHT, straight

from homeostat.detect.vae_file import Saved, VaeFileError, load, save
from homeostat.detect.vae_model import Model
from homeostat.detect.vae_reference import Reference
from homeostat.stats.arrays import to_bytes


def saved() -> Saved:
    return save(straight(), STRAIGHT, NAMES)


def said(manifest: bytes, **changes: Any) -> bytes:
    """Return a manifest with some keys changed; None takes a key away."""
    content = {**json.loads(manifest), **changes}
    kept = {key: value for key, value in content.items() if value is not None}
    return json.dumps(kept).encode()


def forged(model: Any) -> Saved:
    """Return bytes of something else with a manifest that vouches for them."""
    weights = to_bytes(model)
    digest = hashlib.sha256(weights).hexdigest()
    return Saved(weights=weights, manifest=said(saved().manifest, sha256=digest))


def test_a_model_comes_back_bit_for_bit() -> None:
    loaded = load(saved(), NAMES)
    assert loaded.config == STRAIGHT
    assert loaded.columns == NAMES
    assert to_bytes(loaded.model) == to_bytes(straight().model)
    assert save(straight()._replace(model=loaded.model), loaded.config, NAMES) == saved()


def test_other_tools_read_the_arrays() -> None:
    arrays = safetensors.numpy.load(saved().weights)
    total = sum(array.nbytes for array in arrays.values())
    assert total < len(saved().weights) < total + 8192
    assert any(np.array_equal(array, straight().model.inputs.basis) for array in arrays.values())


def test_the_manifest_says_what_the_model_is_and_how_it_came_to_be() -> None:
    manifest = json.loads(saved().manifest)
    assert manifest["columns"] == list(NAMES)
    assert manifest["sha256"] == hashlib.sha256(saved().weights).hexdigest()
    assert manifest["training"]["windows_taught"] == straight().taught
    assert manifest["training"]["elbo_held_out"] == straight().elbo[straight().best]


def test_it_is_not_taken_for_other_columns() -> None:
    with pytest.raises(VaeFileError, match="it is for columns"):
        load(saved(), NAMES[::-1])
    with pytest.raises(ValueError, match="5 names for a model of 6 columns"):
        save(straight(), STRAIGHT, NAMES[:5])


@given(at=st.integers(0, 10**9), bit=st.integers(0, 7))
def test_one_turned_bit_is_refused(at: int, bit: int) -> None:
    weights = bytearray(saved().weights)
    weights[at % len(weights)] ^= 1 << bit
    with pytest.raises(VaeFileError, match="sha256"):
        load(Saved(weights=bytes(weights), manifest=saved().manifest))


@given(data=st.binary(max_size=200))
def test_bytes_that_a_manifest_vouches_for_are_still_refused(data: bytes) -> None:
    digest = hashlib.sha256(data).hexdigest()
    with pytest.raises(VaeFileError, match=r"cannot be read|not what a model has"):
        load(Saved(weights=data, manifest=said(saved().manifest, sha256=digest)))


@given(data=st.binary(max_size=60) | st.sampled_from([b"[]", b"1", b"null", b"[" * 100_000]))
def test_a_manifest_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(VaeFileError, match="manifest"):
        load(Saved(weights=saved().weights, manifest=data))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kind": "other"}, "kind"),
        ({"version": 2}, "version 2 is not 1"),
        ({"sha256": None}, "no sha256"),
        ({"columns": []}, "columns must be names"),
        ({"columns": [1, 2]}, "columns must be names"),
        ({"columns": ["a"]}, "its settings say"),
        ({"config": None}, "no settings"),
        ({"config": {"hidden": [1]}}, "settings cannot be used"),
        ({"config": {"hidden": 3}}, "settings cannot be used"),
        ({"config": {"hidden": [16, 8], "window": -1}}, "settings cannot be used"),
        ({"config": {"hidden": [16, 8], "window": "2"}}, "settings cannot be used"),
        ({"config": {"hidden": [16, 8], "run": "this"}}, "settings cannot be used"),
        ({"config": {"hidden": [16, 8]}}, "its settings say"),
    ],
)
def test_a_manifest_that_lies_is_refused(changes: dict[str, Any], reason: str) -> None:
    bad = Saved(weights=saved().weights, manifest=said(saved().manifest, **changes))
    with pytest.raises(VaeFileError, match=reason):
        load(bad)


def altered(**parts: Any) -> Model:
    return straight().model._replace(**parts)


def test_arrays_that_are_no_model_are_refused() -> None:
    model = straight().model
    wrong_type = model.inputs._replace(low=model.inputs.low.astype(np.float32))
    wrong_shape = model.inputs._replace(low=model.inputs.low[:5])
    not_a_number = model.inputs._replace(mean=model.inputs.mean * np.nan)
    endless = model.inputs._replace(span=model.inputs.span + np.inf)
    never = model.normal._replace(spacing=model.normal.spacing * 0)
    nowhere = Reference(*(np.zeros(1) for _ in range(4)))
    for bad, reason in (
        (altered(inputs=wrong_type), "model.inputs.low is not an array of float64"),
        (altered(inputs=wrong_shape), "model.inputs.low has shape"),
        (altered(inputs=not_a_number), "model.inputs.mean holds"),
        (altered(inputs=endless), "model.inputs.span holds"),
        (altered(normal=never), "model.normal.spacing holds 0"),
        (altered(reference=nowhere), "model.reference.mean has shape"),
        (altered(weights=model.inputs), "model.weights is a Inputs"),
        (model.inputs, "model is a Inputs"),
        ("a word", "model is a str"),
        ({"inputs": 1}, "model is a dict"),
    ):
        with pytest.raises(VaeFileError, match=reason):
            load(forged(bad))


def test_what_is_far_too_large_is_not_even_read() -> None:
    with pytest.raises(VaeFileError, match="too many"):
        load(Saved(weights=bytes((64 << 20) + 1), manifest=saved().manifest))


def test_the_settings_survive_that_are_not_the_defaults() -> None:
    other = replace(STRAIGHT, run_length=1e6, seed=3)
    assert load(save(straight(), other, NAMES)).config == other
