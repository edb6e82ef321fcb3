"""Autoencoders as files: two of them a model, read when the configuration is.

`MODEL` holds arrays alone (safetensors), and nothing that can run; `MODEL.json` their SHA-256, the
names of the columns, the settings, and how training went. Whatever does not fit is refused by name.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from homeostat.base.errors import ConfigError
from homeostat.detect import vae_file
from homeostat.detect.vae_file import Loaded, Saved

MOST_BYTES: Final = 64 << 20
"""As `vae_file` has it, so that no huge file is read for nothing."""
_LEARN: Final = "`homeostat detect --train` writes them"


def manifest_of(path: Path) -> Path:
    """Return where it is said what a model is.

    >>> manifest_of(Path("models/week.safetensors")).as_posix()
    'models/week.safetensors.json'
    """
    return path.with_name(f"{path.name}.json")


def read(path: Path) -> Loaded:
    """Return a model.

    Raises:
        ConfigError: It is not there, damaged, or no model of this kind; the message begins with
            the file's name.
    """
    both = [_bytes(one, path) for one in (path, manifest_of(path))]
    try:
        return vae_file.load(Saved(weights=both[0], manifest=both[1]))
    except vae_file.VaeFileError as error:
        raise ConfigError(f"{path}: {error}") from error


def models(paths: Mapping[str, Path]) -> dict[str, Loaded]:
    """Return the models of the deployments that have one.

    Args:
        paths: Their files, by deployment.

    Raises:
        ConfigError: One cannot be used; names the deployment and the file.
    """
    out = {}
    for name, path in paths.items():
        try:
            out[name] = read(path)
        except ConfigError as error:
            raise ConfigError(f"spec.detection.autoencoders.{name}: {error}") from error
    return out


def _bytes(path: Path, model: Path) -> bytes:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ConfigError(f"{model}: is larger than {MOST_BYTES:,} bytes; it is no model")
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{model}: {path.name}: {error.strerror}; a model is two files, NAME and NAME.json, "
            f"as {_LEARN}"
        ) from error
