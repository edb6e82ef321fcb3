"""How one model-server process is started; what changes later goes through its admin paths."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """One replica's process.

    The device is simulated by sleeping: a batch of n occupies it for `tau0_ms + alpha_ms * n`, one
    batch at a time. With the defaults three replicas serve 3 * 8 / 58 ms = 414 requests/s in
    batches of 8, and 3 / 33.5 ms = 90 requests/s one by one, on any machine.

    Attributes:
        name: Slot name, for example `a-1`; a spare has a name of its own until it is given one.
        pool: The pool it serves in.
        port: TCP port on 127.0.0.1.
        artefacts: Folder with one folder per artefact version.
        version: The version loaded at start; None = warm spare, not ready until one is loaded.
        chaos_token: What a request must show to break this process; empty = nobody can.
        batch_max: Largest batch.
        batch_wait_ms: Longest wait for a batch to fill, from its oldest request.
        queue_max: Requests that may wait; the next one is answered 503.
        concurrency_max: Requests held at once, waiting or running; the next one is answered 503.
        tau0_ms: Device time of a batch, whatever its size.
        alpha_ms: Device time of each request in it.
        drain_timeout_s: How long a stop may wait for requests that are being served.
        seed: Seed of the chance failures of a bad artefact.
    """

    name: str
    pool: str
    port: int
    artefacts: Path
    version: str | None
    chaos_token: str
    batch_max: int = 8
    batch_wait_ms: float = 5.0
    queue_max: int = 64
    concurrency_max: int = 256
    tau0_ms: float = 30.0
    alpha_ms: float = 3.5
    drain_timeout_s: float = 10.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what no server could run with.

        Raises:
            ValueError: A size below one, a negative time, or a port out of range.
        """
        for name in ("batch_max", "queue_max", "concurrency_max"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("batch_wait_ms", "tau0_ms", "alpha_ms", "drain_timeout_s"):
            if not 0.0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name)}")
        if not 0 < self.port < 65536:  # noqa: PLR2004 - the TCP port range
            raise ValueError(f"port must be in 1..65535, got {self.port}")
