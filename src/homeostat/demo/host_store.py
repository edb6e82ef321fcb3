"""Keeps the desired-state document on disk: whole or not at all, durable before it counts."""

import os
from pathlib import Path
from typing import Final

from homeostat.base.errors import ConfigError
from homeostat.demo.host_document import Document, from_json, to_json

NAME: Final = "host.json"


class DocumentStore:
    """The current document and its file."""

    def __init__(self, folder: Path, first: Document) -> None:
        """Take up the document in the folder, or begin with `first`.

        Raises:
            ConfigError: The folder cannot be written, or its document cannot be read.
        """
        self._path = folder / NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if self._path.exists():
                self._document = from_json(self._path.read_text(encoding="utf-8"))
            else:
                self._document = first
                self.save(first)
        except ValueError as error:
            raise ConfigError(
                f"{self._path} is damaged ({error}); move it aside to start from the settings"
            ) from error
        except OSError as error:
            raise ConfigError(
                f"host folder {folder} cannot be used: {error.strerror}; "
                "give the host a folder that it may write to"
            ) from error

    @property
    def document(self) -> Document:
        """The document that counts."""
        return self._document

    def save(self, document: Document) -> None:
        """Make the document durable, then let it count.

        Raises:
            OSError: It could not be written; the old one still counts.
        """
        beside = self._path.with_suffix(".new")
        with beside.open("w", encoding="utf-8") as file:
            file.write(to_json(document))
            file.flush()
            os.fsync(file.fileno())
        Path(beside).replace(self._path)
        self._document = document
