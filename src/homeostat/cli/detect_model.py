"""The model that a method judges by, as a person names it; see `server.encoders`."""

from functools import lru_cache
from pathlib import Path

from homeostat.base.errors import ConfigError
from homeostat.cli.detect_layout import InputError, ModelFile
from homeostat.cli.detect_write import part_of
from homeostat.detect.vae_file import Loaded, Saved
from homeostat.server import encoders


def named(path: Path) -> ModelFile:
    """Return a model that a person named, by what it holds.

    Raises:
        InputError: It cannot be read.
    """
    model = read(path)
    return ModelFile(path=path, digest=model.digest, columns=model.columns)


@lru_cache(maxsize=4)
def read(path: Path) -> Loaded:
    """Return a model.

    Raises:
        InputError: It is not there, damaged, or no model of this kind.
    """
    try:
        return encoders.read(path)
    except ConfigError as error:
        raise InputError(f"--model {error}") from error


def write(path: Path, saved: Saved) -> None:
    """Write both files; the one that says what the other is comes last.

    Raises:
        ConfigError: They cannot be written.
    """
    for place, data in ((path, saved.weights), (encoders.manifest_of(path), saved.manifest)):
        part = part_of(place)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(data)
            part.replace(place)
        except OSError as error:
            raise ConfigError(f"{place}: {error.strerror}; choose another --output") from error
    read.cache_clear()
