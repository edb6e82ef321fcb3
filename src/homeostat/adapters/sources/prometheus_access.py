"""How a Prometheus is reached: address, trust, who asks, and how much of an answer is taken."""

import base64
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from homeostat.adapters._guard import kept_secret
from homeostat.adapters.sources._fetch import HttpUrl
from homeostat.adapters.sources.prometheus_answer import QueryError
from homeostat.base.evidence import Quality

PORTS: Final = {"http": 80, "https": 443}
_SECRET_MAX: Final = 16 * 1024  # bytes; service account tokens are under 2 KiB


def _base(url: str) -> str:
    """Return the address if it is the base of an API.

    Raises:
        ValueError: It has a query or characters that no address has.
    """
    parts = urlsplit(url)
    if parts.query or parts.fragment:
        raise ValueError(f"{url!r}: take what follows ? or # out of the address")
    if "\\" in url or " " in url or not url.isprintable():
        raise ValueError(f"{url!r} has characters that no address has")
    if parts.path.rstrip("/").endswith("/api/v1"):
        raise ValueError(f"{url!r}: leave /api/v1 out; it is added")
    return url


BaseUrl = Annotated[HttpUrl, AfterValidator(_base)]


class Access(BaseModel):
    """How one Prometheus is reached; hashable, so that an unchanged client can be kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: BaseUrl = Field(description="Base of the API, http(s)://HOST:PORT with its path prefix.")
    timeout_s: Annotated[float, Field(gt=0, le=600)] = Field(
        description="Deadline of a query with all its attempts, in seconds."
    )
    reach: Literal["any", "public", "private"] = Field(
        default="any",
        description="Which addresses its name may resolve to; metadata addresses never.",
    )
    ca_file: Path | None = Field(default=None, description="PEM certificates to trust instead.")
    token_file: Path | None = Field(default=None, description="Holds a bearer token.")
    username: str = Field(default="", max_length=256, description="For basic authentication.")
    password_file: Path | None = Field(default=None, description="Holds that user's password.")
    tenant: str = Field(
        default="",
        pattern=r"^[\w.\-|*()!']{0,150}$",
        description="X-Scope-OrgID of Mimir or Cortex.",
    )
    attempts: int = Field(default=3, ge=1, le=10, description="Most attempts of a query.")
    max_bytes: int = Field(default=16 << 20, ge=1024, description="Largest answer, unpacked.")
    max_series: int = Field(default=20_000, ge=1, description="Most series of an answer.")
    max_samples: int = Field(default=1_000_000, ge=1, description="Most samples of an answer.")

    @model_validator(mode="after")
    def _one_way_to_say_who(self) -> Self:
        if bool(self.username) != (self.password_file is not None):
            raise ValueError("username and password_file go together; set both or neither")
        if self.username and self.token_file is not None:
            raise ValueError("both token_file and username are set; keep one")
        if ":" in self.username or not self.username.isprintable():
            raise ValueError("username has a colon or a character that cannot be printed")
        kept_secret(self.url, self.token_file, self.password_file)
        return self


def authorization(access: Access) -> dict[str, str]:
    """Return the headers that say who asks; files are read each time, so that they can be rotated.

    Raises:
        QueryError: A file cannot be read, or holds no secret (UNREACHABLE: nothing was asked).
    """
    headers = {"x-scope-orgid": access.tenant} if access.tenant else {}
    if access.token_file is not None:
        token = _secret(access, access.token_file, "token_file")
        return headers | {"authorization": f"Bearer {token}"}
    if access.password_file is not None:
        password = _secret(access, access.password_file, "password_file")
        pair = base64.b64encode(f"{access.username}:{password}".encode()).decode()
        return headers | {"authorization": f"Basic {pair}"}
    return headers


def _secret(access: Access, path: Path, key: str) -> str:
    where = f"{access.url.rstrip('/')}: {key} {path}"
    try:
        with path.open("rb") as file:
            secret = file.read(_SECRET_MAX + 1).strip()
    except OSError as error:
        raise QueryError(
            f"{where} cannot be read: {error.strerror}", quality=Quality.UNREACHABLE
        ) from error
    # Headers are single lines of ASCII; a password that is not goes into base64 anyway.
    text = secret.decode("utf-8", errors="replace")
    if not secret or len(secret) > _SECRET_MAX or not text.isprintable() or "\ufffd" in text:
        raise QueryError(
            f"{where} holds no secret; put one line of text into it, and nothing else",
            quality=Quality.UNREACHABLE,
        )
    if key == "token_file" and not (text.isascii() and " " not in text):
        raise QueryError(
            f"{where} holds no token; tokens are ASCII without spaces", quality=Quality.UNREACHABLE
        )
    return text
