"""Documents that are custom resources: listed every few seconds, read as strictly as files.

What a resource says is believed less than what a file says, in one thing: files. A document may
name files whose content is sent somewhere (a bearer token) or believed (a fit). A resource may name
those of one folder alone, and the pod's own account only towards the pod's own API server.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Final

from homeostat.adapters._cluster import Cluster, ClusterError, Object
from homeostat.base.errors import ConfigError
from homeostat.server.config.clusters import ACCOUNT
from homeostat.server.config.crds import GROUP, PLURALS, VERSION
from homeostat.server.config.loader import Parsed, parse

Key = tuple[str, str]
"""Kind and name."""
NAMES_A_FILE: Final = frozenset({"file", "fit", "check", "snapshot", "socket"})
"""Keys that name a file, besides all that end in `File`."""
NAMES_NO_FILE: Final = frozenset({"path", "keyHeader", "certify"})
"""Keys that look like it and are none: a page's path on a replica, a header's name, what a canary's
certificate is about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """All resources as they were at one look; a value, so that another thread may read it.

    Attributes:
        found: As they were listed, sorted.
        read: What each says, or why it cannot be used.
    """

    found: tuple[Object, ...]
    read: Mapping[Key, tuple[Parsed, ...] | str]


class Resources:
    """The custom resources of one namespace; one thread looks while others may read.

    Args:
        cluster: The API server.
        namespace: Theirs.
        files: The folder that they may name files of, None for no files.
        api: The address of that API server, which the pod's own account may be shown to.
    """

    def __init__(self, cluster: Cluster, namespace: str, files: Path | None, api: str) -> None:
        self.cluster, self.namespace = cluster, namespace
        self._files, self._api = files, api
        self._last: _Look | None = None
        self.problem = "nobody has looked for custom resources yet"
        """Why they could not be listed when last tried; empty when they could."""

    @property
    def found(self) -> tuple[Object, ...]:
        """All of them as they were when last listed."""
        return () if self._last is None else self._last.found

    def look(self) -> None:
        """List and read them all; blocking.

        What has not changed is not read again. What cannot be listed stays as it was, with a
        `problem`.
        """
        try:
            listed = [
                {**one, "kind": kind}  # a list's items need not say what they are
                for kind, (plural, _) in PLURALS.items()
                for one in self.cluster.listed(self.path(plural))
            ]
            self._last = self._looked(tuple(sorted(listed, key=key_of)))
        except ClusterError as error:
            self.problem = f"custom resources cannot be read: {error}"
        except (KeyError, TypeError) as error:
            self.problem = f"custom resources cannot be read: an odd answer ({error!r})"
        else:
            self.problem = ""

    def path(self, plural: str) -> str:
        """Return the path of a kind's list."""
        return f"/apis/{GROUP}/{VERSION}/namespaces/{self.namespace}/{plural}"

    def stamp(self) -> object:
        """Return what tells one version of them from the next: what is written, not the status."""
        return tuple((*key_of(one), *_mark(one)) for one in self.found)

    def documents(self) -> tuple[Parsed, ...]:
        """Return them as documents.

        Raises:
            ConfigError: They were never listed, or one cannot be used: then none is, because what
                was refused may be the freeze or the policy that the others rest on.
        """
        last = self._last
        if last is None:
            raise ConfigError(self.problem)
        refused = [one for one in last.read.values() if isinstance(one, str)]
        if refused:
            raise ConfigError("\n".join(refused))
        return tuple(one for many in last.read.values() if isinstance(many, tuple) for one in many)

    def refused(self) -> dict[Key, str]:
        """Return why resources cannot be used, each by itself."""
        read = {} if self._last is None else self._last.read
        return {key: one for key, one in read.items() if isinstance(one, str)}

    def named(self, key: Key) -> str:
        """Return how messages name a resource."""
        return str(self._folder / f"{key[0]} {key[1]}")

    @property
    def _folder(self) -> Path:
        return Path("/nowhere") if self._files is None else self._files

    def _looked(self, found: tuple[Object, ...]) -> _Look:
        last = self._last or _Look(found=(), read={})
        marks = {key_of(one): _mark(one) for one in last.found}
        read: dict[Key, tuple[Parsed, ...] | str] = {}
        for obj in found:
            key, mark = key_of(obj), _mark(obj)
            if None not in mark and marks.get(key) == mark:
                read[key] = last.read[key]
                continue
            try:
                read[key] = self._read(obj)
            except ConfigError as error:
                read[key] = str(error)
        return _Look(found=found, read=read)

    def _read(self, obj: Object) -> tuple[Parsed, ...]:
        """Return one resource as a document, by the same reader as a file.

        Raises:
            ConfigError: It cannot be used.
        """
        key = key_of(obj)
        file = self.named(key)
        value = {
            "apiVersion": obj.get("apiVersion", f"{GROUP}/{VERSION}"),
            "kind": key[0],
            "metadata": {"name": key[1]},
            "spec": obj.get("spec"),
        }
        for problem in self._foreign(value):
            raise ConfigError(f"{file}: {problem}")
        try:
            text = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{file}: cannot be read ({error})") from error
        try:
            return tuple((one, replace(at, lines={})) for one, at in parse(text, file))
        except ConfigError as error:  # all of it is on one line, which says nothing
            raise ConfigError(str(error).replace(f"{file}:1:", f"{file}:")) from error

    def _foreign(self, value: Any) -> Iterator[str]:
        """Yield what names a file that a resource may not name."""
        if isinstance(value, list):
            for one in value:
                yield from self._foreign(one)
        if not isinstance(value, dict):
            return
        for key, inner in value.items():
            if names_a_file(key) and isinstance(inner, str):
                if not (self._within(key, inner) or self._own_account(inner, value)):
                    yield (
                        f"{key} {inner!r} is not a name inside the folder that resources may name "
                        "files of (spec.cluster.resources.files of the Controller)"
                    )
            else:
                yield from self._foreign(inner)

    def _within(self, key: str, text: str) -> bool:
        """Return whether a text names a file inside the folder, or for a socket no file at all."""
        if key == "socket" and "/" not in text:
            return True
        path = PurePosixPath(text)
        inside = not path.is_absolute() and ".." not in path.parts and "\0" not in text
        return self._files is not None and inside and bool(path.parts)

    def _own_account(self, text: str, beside: dict[str, Any]) -> bool:
        """Return whether it is the pod's own account, shown to the pod's own API server."""
        known = {str(ACCOUNT / "token"), str(ACCOUNT / "ca.crt")}
        address = beside.get("api")
        return text in known and isinstance(address, str) and address.rstrip("/") == self._api


def _mark(obj: Object) -> tuple[Any, Any]:
    """Return what changes with what is written in a resource, not with its status."""
    meta = obj["metadata"]
    return meta.get("uid"), meta.get("generation")


def names_a_file(key: str) -> bool:
    """Return whether a key's value is the name of a file.

    >>> [names_a_file(key) for key in ("tokenFile", "fit", "path")]
    [True, True, False]
    """
    return key.endswith("File") or key in NAMES_A_FILE


def key_of(obj: Object) -> Key:
    """Return a resource's kind and name.

    Raises:
        KeyError: It has none.
    """
    return str(obj["kind"]), str(obj["metadata"]["name"])
