"""Settings of the process host, and how they are read from a JSON file.

Not the desired state: that is the document in `host_document`, which starts from `pools` here and
is changed only through the host's API.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from homeostat.base.errors import ConfigError

_PATHS: Final = frozenset({"folder", "artefacts"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """One pool (traffic arm) as it starts.

    Attributes:
        name: The pool's name, letters and digits, for example `a`.
        version: The artefact version it starts with.
        replicas: How many slots it starts with.
    """

    name: str
    version: str
    replicas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSettings:
    """What the host is told once, at its start.

    Attributes:
        port: Port of its API on loopback.
        folder: Its own folder: the state document (`host.json`) and the rotation files.
        artefacts: Folder of artefact versions that the servers load from.
        pools: The pools it starts with when the folder holds no state document.
        spares: Warm spare processes that it keeps ready at all times.
        first_port: First port given to model servers. Below 32768, so that the kernel never
            lends one of them to an outgoing connection.
        port_count: Ports after `first_port` that may be used, in turn.
        envoy_admin: URL of Envoy's admin page, None when no Envoy reads the rotation files.
        memory_limit_bytes: Resident memory above which a server is killed.
        drain_timeout_s: A leaving server that still has requests after this long is killed.
        start_timeout_s: A server that is not live after this long is killed.
        call_timeout_s: Longest wait for one answer from a model server.
        load_timeout_s: Longest wait for a server to load a version.
        rotation_timeout_s: Longest wait for Envoy to have taken a new rotation.
        replicas_max: Most slots a pool may have.
        server: The function that serves, as `module:function`, called with `ServerSettings`.
        batch_max: Lever `batch_max` at the start.
        batch_wait_ms: Lever `batch_wait_ms` at the start, milliseconds.
        concurrency_max: Lever `concurrency_max` at the start.
        queue_max: Requests that may wait in one server.
        tau0_ms: Device time of a batch, fixed part, milliseconds.
        alpha_ms: Device time of a batch, part per request, milliseconds.
        seed: Seed that the servers derive their own from.
        chaos_token: What a fault injector must show a server.
        die_with_parent: End when the process that started the host ends.
    """

    port: int
    folder: Path
    artefacts: Path
    pools: tuple[PoolSettings, ...]
    spares: int = 1
    first_port: int = 19200
    port_count: int = 200
    envoy_admin: str | None = None
    memory_limit_bytes: int = 1024 * 1024 * 1024
    drain_timeout_s: float = 5.0
    start_timeout_s: float = 30.0
    call_timeout_s: float = 1.0
    load_timeout_s: float = 5.0
    rotation_timeout_s: float = 3.0
    replicas_max: int = 12
    server: str = "homeostat.demo.model_server:serve"
    batch_max: int = 8
    batch_wait_ms: float = 5.0
    concurrency_max: int = 256
    queue_max: int = 64
    tau0_ms: float = 30.0
    alpha_ms: float = 3.5
    seed: int = 0
    chaos_token: str = ""
    die_with_parent: bool = True

    def to_json(self) -> str:
        """Return the settings as JSON text that `read_settings` understands."""
        plain = dataclasses.asdict(self)
        for name in _PATHS:
            plain[name] = str(plain[name])
        return json.dumps(plain, indent=2)


def read_settings(path: Path) -> HostSettings:
    """Return the settings in a JSON file.

    Raises:
        ConfigError: The file cannot be read, or holds an unknown, missing or absurd setting.
    """
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"host settings {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"host settings {path} are not JSON: {error}") from error
    if not isinstance(plain, dict):
        raise ConfigError(f"host settings {path} must be one JSON object")
    pools = plain.get("pools")
    if isinstance(pools, list):
        plain["pools"] = tuple(_build(PoolSettings, pool, f"{path}: pools") for pool in pools)
    for name in _PATHS & plain.keys():
        plain[name] = Path(str(plain[name]))
    settings: HostSettings = _build(HostSettings, plain, str(path))
    check_settings(settings)
    return settings


def check_settings(settings: HostSettings) -> None:
    """Refuse settings that cannot work.

    Raises:
        ConfigError: Naming the setting, its value and what is accepted.
    """
    names = [pool.name for pool in settings.pools]
    if not names or len(set(names)) != len(names) or not all(name.isalnum() for name in names):
        raise ConfigError(f"pools must be one or more distinct alphanumeric names, got {names}")
    for pool in settings.pools:
        _within(f"pools.{pool.name}.replicas", pool.replicas, 0, settings.replicas_max)
    if not any(pool.replicas for pool in settings.pools):
        raise ConfigError("all pools start with 0 replicas; give at least one pool one")
    _within("port", settings.port, 1, 65535)
    _within("first_port", settings.first_port, 1024, 65535 - settings.port_count)
    _within("port_count", settings.port_count, 8, 10_000)
    _within("spares", settings.spares, 0, 8)
    _within("memory_limit_bytes", settings.memory_limit_bytes, 1 << 20, 1 << 50)
    for name in ("drain", "start", "call", "load", "rotation"):
        _within(f"{name}_timeout_s", getattr(settings, f"{name}_timeout_s"), 0.01, 600.0)
    if settings.server.count(":") != 1:
        raise ConfigError(f"server must be `module:function`, got {settings.server!r}")


def _within(name: str, value: object, low: float, high: float) -> None:
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if number is None or not low <= number <= high:
        raise ConfigError(f"{name} must be a number from {low} to {high}, got {value!r}")


def _build(cls: type[Any], plain: object, where: str) -> Any:
    if not isinstance(plain, Mapping):
        raise ConfigError(f"{where} must hold JSON objects, got {plain!r}")
    fields = {field.name: field for field in dataclasses.fields(cls)}
    unknown = sorted(set(plain) - set(fields))
    if unknown:
        raise ConfigError(f"{where}: unknown {unknown[0]!r}; known: {', '.join(sorted(fields))}")
    missing = [
        name
        for name, field in fields.items()
        if field.default is dataclasses.MISSING and name not in plain
    ]
    if missing:
        raise ConfigError(f"{where}: {missing[0]!r} is missing")
    return cls(**plain)
