"""How names and addresses are spelt in configuration files."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field, HttpUrl, TypeAdapter

from homeostat.adapters._guard import base_url

NAME_PATTERN: Final = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
ObjectName = Annotated[
    str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", min_length=1, max_length=253)
]
_URL: Final = TypeAdapter(HttpUrl)


def plain_url(value: str) -> str:
    """Return an address without its last slashes.

    Raises:
        ValueError: It is no http(s) address, or carries a user name.
    """
    if not value.startswith(("http://", "https://")):
        raise ValueError(f"{value!r} must start with http:// or https://")
    parsed = _URL.validate_python(value)
    if parsed.username or parsed.password:
        raise ValueError("no names or passwords in a URL; keep secrets in files")
    return value.rstrip("/")


Url = Annotated[str, Field(max_length=2000), AfterValidator(plain_url)]
BaseUrl = Annotated[Url, AfterValidator(base_url)]
