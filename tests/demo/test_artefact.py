"""Artefacts: what is served is what was built, and nothing else is."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from homeostat.demo.artefact import ArtefactError, build_artefacts, load
from homeostat.demo.population import FEATURES, sample

PEOPLE = sample(20_000, 987_654_321)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artefacts")
    build_artefacts(folder, 7)
    return folder


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    """Return a copy of version v2 that may be damaged."""
    (tmp_path / "v2").mkdir()
    for file in (built / "v2").iterdir():
        (tmp_path / "v2" / file.name).write_bytes(file.read_bytes())
    return tmp_path


def accuracy(folder: Path, version: str, shift: float = 0.0) -> float:
    people = sample(20_000, 987_654_321, shift)
    said = load(folder, version).predict(people.inputs)
    return float(((said >= 0.5) == people.defaulted).mean())


def rewrite(folder: Path, **changes: Any) -> None:
    """Change v2's manifest."""
    path = folder / "v2" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def retensor(folder: Path, **changes: Any) -> None:
    """Change v2's tensors, with a manifest that says so; None removes one."""
    path = folder / "v2" / "model.safetensors"
    tensors = safetensors.numpy.load(path.read_bytes()) | changes
    data = safetensors.numpy.save({k: np.asarray(v) for k, v in tensors.items() if v is not None})
    path.write_bytes(data)
    rewrite(folder, sha256=hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize("seed", [0, 1, 7, 42])
def test_both_sound_versions_beat_the_objective_and_the_newer_is_better(
    tmp_path: Path, seed: int
) -> None:
    build_artefacts(tmp_path, seed)
    older, newer = accuracy(tmp_path, "v1"), accuracy(tmp_path, "v2")
    assert 0.90 <= older < newer
    assert newer >= 0.96


def test_a_shift_of_the_inputs_alone_costs_accuracy(built: Path) -> None:
    assert accuracy(built, "v2", 2.0) < 0.80
    assert accuracy(built, "v2", 2.5) < 0.65
    assert accuracy(built, "v2", 0.2) > 0.95


def test_a_shift_moves_the_shifted_features_and_no_other() -> None:
    moved = sample(20_000, 987_654_321, 2.5).inputs.mean(axis=0) - PEOPLE.inputs.mean(axis=0)
    assert (moved[:4] / PEOPLE.inputs.std(axis=0)[:4]).tolist() == pytest.approx(
        [1.25] * 4, rel=0.03
    )
    assert np.abs(moved[4:] / PEOPLE.inputs.std(axis=0)[4:]).max() < 1e-9


@pytest.mark.slow
def test_building_repeats_bit_for_bit(tmp_path: Path) -> None:
    versions = build_artefacts(tmp_path / "one", 3)
    build_artefacts(tmp_path / "two", 3)
    for version in versions:
        one, two = (load(tmp_path / side, version).manifest.sha256 for side in ("one", "two"))
        assert one == two


def test_loading_rebuilds_the_estimator_that_was_trained(built: Path) -> None:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - only here
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

    people = sample(6_000, 8)  # v2 of seed 7 is trained on seed 8
    scaler = StandardScaler().fit(people.inputs)
    regression = LogisticRegression(max_iter=1_000)
    regression.fit(scaler.transform(people.inputs), people.defaulted)
    wanted = regression.predict_proba(scaler.transform(PEOPLE.inputs))[:, 1]
    assert load(built, "v2").predict(PEOPLE.inputs).tolist() == wanted.tolist()


def test_bad_releases_are_bad_in_the_way_that_they_say(built: Path) -> None:
    sound = load(built, "v2").manifest
    assert (sound.failure_ratio, sound.device_time_factor) == (0.0, 1.0)
    assert load(built, "v3-errors").manifest.failure_ratio == 0.3
    assert load(built, "v3-slow").manifest.device_time_factor == 8.0
    assert np.isnan(load(built, "v3-garbage").predict(PEOPLE.inputs[:9])).all()
    assert set(load(built, "v3-constant").predict(PEOPLE.inputs[:9]).tolist()) == {0.5}
    assert accuracy(built, "v3-constant") < 0.6


def test_the_same_edges_ship_with_every_version(built: Path) -> None:
    edges = load(built, "v1").feature_edges
    assert edges.shape == (len(FEATURES), 9)
    assert (edges == load(built, "v3-garbage").feature_edges).all()


def test_nothing_is_pickled(built: Path) -> None:
    names = {file.name for file in built.rglob("*") if file.is_file()}
    assert names == {"manifest.json", "model.safetensors"}


def test_one_flipped_bit_is_noticed(folder: Path) -> None:
    path = folder / "v2" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ArtefactError, match="sha256 is"):
        load(folder, "v2")


@pytest.mark.parametrize("version", ["", "../v2", "v2/../v2", "V2", ".", "v2\n", "a" * 64, "/etc"])
def test_a_version_is_a_name_and_never_a_path(folder: Path, version: str) -> None:
    with pytest.raises(ArtefactError):
        load(folder, version)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"version": "v1"}, "manifest is that of 'v1'"),
        ({"failure_ratio": 1.5}, "failure_ratio"),
        ({"failure_ratio": "NaN"}, "failure_ratio"),
        ({"device_time_factor": 0}, "device_time_factor"),
        ({"device_time_factor": "Infinity"}, "device_time_factor"),
        ({"features": None}, "not a manifest"),
        ({"features": ["only one"]}, "expected"),
        ({"sha256": None}, "sha256"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(
    folder: Path, changes: dict[str, Any], match: str
) -> None:
    rewrite(folder, **changes)
    with pytest.raises(ArtefactError, match=match):
        load(folder, "v2")


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b'{"version": "v2"}', b" " * (1 << 21)]
)
def test_a_manifest_that_is_none_is_refused(folder: Path, data: bytes) -> None:
    (folder / "v2" / "manifest.json").write_bytes(data)
    with pytest.raises(ArtefactError):
        load(folder, "v2")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"coef": np.zeros((1, 3))}, "coef"),
        ({"coef": None}, "tensors"),
        ({"extra": np.zeros(1)}, "tensors"),
        ({"classes": np.zeros(3)}, "classes"),
        ({"feature_edges": np.zeros((len(FEATURES), 4))}, "ascending"),
        ({"feature_edges": np.full((len(FEATURES), 4), np.nan)}, "ascending"),
    ],
)
def test_tensors_of_another_model_are_refused(
    folder: Path, changes: dict[str, Any], match: str
) -> None:
    retensor(folder, **changes)
    with pytest.raises(ArtefactError, match=match):
        load(folder, "v2")


@pytest.mark.parametrize("data", [b"", b"\x00" * 64, b"\x80\x04pickle"])
def test_a_file_that_is_no_safetensors_is_refused_even_with_its_digest(
    folder: Path, data: bytes
) -> None:
    (folder / "v2" / "model.safetensors").write_bytes(data)
    rewrite(folder, sha256=hashlib.sha256(data).hexdigest())
    with pytest.raises(ArtefactError, match="not a safetensors file"):
        load(folder, "v2")
