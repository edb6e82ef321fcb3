"""Model artefacts on disk: safetensors and a manifest, written, verified and loaded; never pickle.

One folder per version: `model.safetensors` holds the numbers, `manifest.json` says what they are
and carries the SHA-256 of the bytes. The estimator that is loaded is scikit-learn's own.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import safetensors
import safetensors.numpy
import sklearn
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from homeostat.base.errors import HomeostatError
from homeostat.demo.population import FEATURES, sample

Floats = NDArray[np.float64]

MODEL: Final = "credit"
_VERSION: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
_SIZE_MAX: Final = 1 << 20  # an artefact here is 3 kB; what is a thousand times that is not one
_TENSORS: Final = frozenset({"coef", "intercept", "mean", "scale", "classes", "feature_edges"})
_ROWS_V1: Final = 250  # the older release saw few rows: about 94 % right
_ROWS_V2: Final = 6_000  # the current one: about 97 % right
_ROWS_EDGES: Final = 20_000
FAILURE_RATIO: Final = 0.3  # of release v3-errors
DEVICE_TIME_FACTOR: Final = 8.0  # of release v3-slow


class ArtefactError(HomeostatError):
    """An artefact that must not be served; what runs goes on running.

    Attributes:
        version: The version that was asked for.
        reason: What is wrong with it.
    """

    def __init__(self, version: str, reason: str) -> None:
        super().__init__(f"artefact {version!r} is refused: {reason}")
        self.version, self.reason = version, reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What `manifest.json` says.

    Attributes:
        version: Equal to the folder's name.
        created: ISO 8601, UTC.
        sha256: Of `model.safetensors`, hex.
        framework: Name and version of what trained it.
        features: The inputs, in the order of the coefficients.
        failure_ratio: Share of requests on which this release fails (a bad release is real).
        device_time_factor: How much slower than usual this release occupies the device.
    """

    version: str
    created: str
    sha256: str
    framework: str
    features: tuple[str, ...]
    failure_ratio: float
    device_time_factor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A verified artefact, ready to predict.

    Attributes:
        manifest: What it says of itself.
        estimator: Scaler and logistic regression, as scikit-learn objects.
        feature_edges: Edges of the features' histograms (deciles of the reference people), one
            row per feature; the same in every version, so that versions can be compared.
    """

    manifest: Manifest
    estimator: Pipeline
    feature_edges: Floats

    def predict(self, inputs: Floats) -> Floats:
        """Return the probability of a default for inputs `[request, feature]`."""
        return np.asarray(self.estimator.predict_proba(inputs)[:, 1], dtype=np.float64)


def load(folder: Path, version: str) -> Model:
    """Read, verify and rebuild one version.

    Raises:
        ArtefactError: It is missing, does not match its manifest, or is not such a model.
    """
    if not _VERSION.fullmatch(version):
        raise ArtefactError(version, "a version is lower-case letters, digits, dots and dashes")
    manifest = _read_manifest(_read(folder / version / "manifest.json", version), version)
    data = _read(folder / version / "model.safetensors", version)
    found = hashlib.sha256(data).hexdigest()
    if found != manifest.sha256:
        raise ArtefactError(version, f"sha256 is {found}, the manifest says {manifest.sha256}")
    try:
        tensors = safetensors.numpy.load(data)
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise ArtefactError(version, f"not a safetensors file: {error}") from error
    _check_tensors(tensors, manifest)
    return Model(
        manifest=manifest,
        estimator=_rebuild(tensors, len(manifest.features)),
        feature_edges=np.asarray(tensors["feature_edges"], dtype=np.float64),
    )


def _read(path: Path, version: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_SIZE_MAX + 1)
    except OSError as error:
        raise ArtefactError(version, f"{path} cannot be read ({error.strerror})") from error
    if len(data) > _SIZE_MAX:
        raise ArtefactError(version, f"{path} is larger than {_SIZE_MAX} bytes")
    return data


def _read_manifest(data: bytes, version: str) -> Manifest:
    try:
        plain: dict[str, Any] = json.loads(data)
        manifest = Manifest(
            version=str(plain["version"]),
            created=str(plain["created"]),
            sha256=str(plain["sha256"]),
            framework=str(plain["framework"]),
            features=tuple(str(name) for name in plain["features"]),
            failure_ratio=float(plain["failure_ratio"]),
            device_time_factor=float(plain["device_time_factor"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ArtefactError(version, f"manifest.json is not a manifest: {error!r}") from error
    if manifest.version != version:
        raise ArtefactError(version, f"its manifest is that of {manifest.version!r}")
    if not 0.0 <= manifest.failure_ratio <= 1.0:
        raise ArtefactError(version, f"failure_ratio {manifest.failure_ratio} is not in 0..1")
    if not 0.0 < manifest.device_time_factor < float("inf"):
        raise ArtefactError(version, f"device_time_factor {manifest.device_time_factor} is not > 0")
    return manifest


def _check_tensors(tensors: dict[str, NDArray[Any]], manifest: Manifest) -> None:
    """Check names and shapes.

    Numbers are not judged: a release with broken coefficients is a release, and its outputs are
    what a controller has to notice.

    Raises:
        ArtefactError: A tensor is missing, unknown, or has another shape.
    """
    version, width = manifest.version, len(manifest.features)
    if set(tensors) != _TENSORS:
        raise ArtefactError(version, f"tensors {sorted(tensors)}, expected {sorted(_TENSORS)}")
    shapes = {"coef": (1, width), "intercept": (1,), "mean": (width,), "scale": (width,)}
    for name, shape in {**shapes, "classes": (2,)}.items():
        if tensors[name].shape != shape:
            raise ArtefactError(version, f"{name} is {tensors[name].shape}, expected {shape}")
    edges = tensors["feature_edges"]
    if edges.ndim != 2 or len(edges) != width or not (np.diff(edges, axis=1) > 0).all():  # noqa: PLR2004 - features, edges
        raise ArtefactError(version, "feature_edges must be ascending, one row per feature")


def _rebuild(tensors: dict[str, NDArray[Any]], width: int) -> Pipeline:
    """Return the fitted estimator: its public fitted attributes are all that fitting leaves."""
    scaler = StandardScaler()
    scaler.mean_, scaler.scale_ = tensors["mean"], tensors["scale"]
    scaler.var_, scaler.n_features_in_ = tensors["scale"] ** 2, width
    regression = LogisticRegression()
    regression.coef_, regression.intercept_ = tensors["coef"], tensors["intercept"]
    regression.classes_, regression.n_features_in_ = tensors["classes"], width
    return Pipeline([("scale", scaler), ("classify", regression)])


def build_artefacts(folder: Path, seed: int) -> tuple[str, ...]:
    """Train and write every version of the local deployment; return their names.

    `v1` and `v2` are sound; `v3-errors`, `v3-slow`, `v3-garbage` and `v3-constant` are bad
    releases of the second kind, each bad in the way that it says.

    Args:
        folder: Created if it is not there; versions that are there are replaced.
        seed: Seed of the training rows; the people of `population.sample` with this seed and the
            next are the training data, so a judge draws with another one.
    """
    first = _train(_ROWS_V1, seed)
    second = _train(_ROWS_V2, seed + 1)
    width = len(FEATURES)
    broken = {"coef": np.full((1, width), np.nan)}
    constant = {"coef": np.zeros((1, width)), "intercept": np.zeros(1)}
    write(folder, "v1", first)
    write(folder, "v2", second)
    write(folder, "v3-errors", second, failure_ratio=FAILURE_RATIO)
    write(folder, "v3-slow", second, device_time_factor=DEVICE_TIME_FACTOR)
    write(folder, "v3-garbage", {**second, **broken})
    write(folder, "v3-constant", {**second, **constant})
    return ("v1", "v2", "v3-errors", "v3-slow", "v3-garbage", "v3-constant")


def _train(rows: int, seed: int) -> dict[str, NDArray[Any]]:
    people = sample(rows, seed)
    reference = sample(_ROWS_EDGES, 0).inputs
    edges = np.quantile(reference, np.linspace(0.1, 0.9, 9), axis=0).T
    return fit(people.inputs, people.defaulted, edges)


def fit(
    inputs: Floats, defaulted: NDArray[np.int64], feature_edges: Floats
) -> dict[str, NDArray[Any]]:
    """Fit scaler and logistic regression, and return the tensors of a version.

    Args:
        inputs: `[person, feature]`, finite.
        defaulted: `[person]`, 1 or 0; both are there.
        feature_edges: See `Model`.

    Raises:
        ValueError: Only one class, or numbers that scikit-learn does not take.
    """
    scaler = StandardScaler().fit(inputs)
    regression = LogisticRegression(max_iter=1_000)
    regression.fit(scaler.transform(inputs), defaulted)
    return {
        "coef": regression.coef_,
        "intercept": regression.intercept_,
        "mean": scaler.mean_,
        "scale": scaler.scale_,
        "classes": regression.classes_,
        "feature_edges": feature_edges,
    }


def rebuilt(tensors: dict[str, NDArray[Any]]) -> Pipeline:
    """Return the estimator that a version of these tensors would serve."""
    return _rebuild(tensors, tensors["coef"].shape[1])


def write(
    folder: Path,
    version: str,
    tensors: dict[str, NDArray[Any]],
    *,
    failure_ratio: float = 0.0,
    device_time_factor: float = 1.0,
) -> None:
    """Write one version: the numbers first, for with a manifest it is there to be served.

    Args:
        folder: Of all versions.
        version: Its name; what is there of that name is replaced.
        tensors: See `fit`.
        failure_ratio: See `Manifest`.
        device_time_factor: The same.
    """
    data = safetensors.numpy.save({k: np.ascontiguousarray(v) for k, v in tensors.items()})
    manifest = {
        "version": version,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "sha256": hashlib.sha256(data).hexdigest(),
        "framework": f"scikit-learn {sklearn.__version__}",
        "features": list(FEATURES),
        "failure_ratio": failure_ratio,
        "device_time_factor": device_time_factor,
    }
    (folder / version).mkdir(parents=True, exist_ok=True)
    (folder / version / "model.safetensors").write_bytes(data)
    (folder / version / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
