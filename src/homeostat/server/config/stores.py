"""`spec.store`: where the journal lies, a file of one machine or PostgreSQL for several.

Secrets have no place here: a password is in a file of its own, or where libpq looks for it.
"""

from pathlib import Path
from typing import Final, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import Field, field_validator, model_validator

from homeostat.base.units import HOUR, MINUTE, SECOND
from homeostat.server.config.guardrails import Strict
from homeostat.server.config.units import Duration
from homeostat.server.plan import PostgresPlan

RETENTION_NS: Final = 7 * 24 * HOUR  # one whole weekly season
# Kubernetes' own controllers: 15 s, renewed well before (k8s.io/client-go leaderelection).
LEASE_NS: Final = 15 * SECOND
_SHORTEST: Final = SECOND
_PASSWORDS: Final = frozenset({"password", "passfile", "sslpassword"})


class PostgresSpec(Strict):
    """The journal in PostgreSQL."""

    url: str = Field(
        max_length=2000, description="postgresql://USER@HOST:PORT/DATABASE; no password in it."
    )
    password_file: str | None = Field(
        default=None,
        max_length=4096,
        description="Holds the password; default: where libpq looks (PGPASSFILE, PGPASSWORD).",
    )
    schema_name: str = Field(
        default="homeostat",
        alias="schema",
        pattern=r"^[a-z_][a-z0-9_]{0,62}$",
        description="The schema that holds the journal and nothing else; made if it is not there.",
    )
    anchor: str | None = Field(
        default=None, max_length=4096, description="File on this machine that anchors the chain."
    )

    @field_validator("url")
    @classmethod
    def _reachable_and_without_secrets(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme != "postgresql":
            raise ValueError("must be postgresql://USER@HOST:PORT/DATABASE")
        if parts.password is not None or {key for key, _ in parse_qsl(parts.query)} & _PASSWORDS:
            raise ValueError("no passwords in a URL; put it in a file and name it in passwordFile")
        return url


class StoreSpec(Strict):
    """The journal."""

    path: str | None = Field(
        default=None, min_length=1, max_length=4096, description="A file, for one machine."
    )
    postgres: PostgresSpec | None = Field(
        default=None, description="A database, for several controllers."
    )
    retention: Duration = Field(
        default=RETENTION_NS,
        description="How long signals and ticks are kept; decisions stay for ever. At least 1h.",
    )
    accept_missing_anchor: bool = Field(
        default=False,
        strict=True,
        description="Start though the journal's anchor is gone, and make a new one.",
    )
    lease: Duration = Field(
        default=LEASE_NS,
        description="In PostgreSQL: a controller that is silent for this long loses the lead.",
    )

    @field_validator("retention")
    @classmethod
    def _covers_an_hour(cls, retention: int) -> int:
        if retention < HOUR:
            raise ValueError("must be at least 1h: a restart needs what happened before it")
        return retention

    @field_validator("lease")
    @classmethod
    def _long_enough_to_renew(cls, lease: int) -> int:
        if not _SHORTEST <= lease <= 10 * MINUTE:
            raise ValueError(
                "must be 1s to 10m: shorter is lost to a slow disk, longer helps nobody"
            )
        return lease

    @model_validator(mode="after")
    def _exactly_one_place(self) -> Self:
        if (self.path is None) == (self.postgres is None):
            raise ValueError("says either path: FILE or postgres: {url: ...}")
        return self


def place(spec: StoreSpec | None, base: Path, state: Path) -> tuple[Path, PostgresPlan | None]:
    """Return the journal's file (in PostgreSQL: its anchor's), and the database if it is one.

    Args:
        spec: What the document says, None if nothing.
        base: Folder that relative paths start from.
        state: Where state lies by default.
    """
    kept = None if spec is None else spec.postgres
    if kept is not None:
        anchor = state / "homeostat.anchor" if kept.anchor is None else base / kept.anchor
        password = None if kept.password_file is None else base / kept.password_file
        return anchor, PostgresPlan(url=kept.url, password_file=password, schema=kept.schema_name)
    if spec is not None and spec.path is not None:
        return base / spec.path, None
    return state / "homeostat.db", None
