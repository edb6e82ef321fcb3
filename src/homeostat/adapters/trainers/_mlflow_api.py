"""MLflow's registry over REST (api/2.0): only what a retrain needs, and every answer checked.

Each request goes to the judged address (`adapters._signed`), follows nothing, and says who asks by
files that are read each time. What the real server answers was recorded from MLflow 3.17.2.
"""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Self, TypeVar
from urllib.parse import urlencode, urlsplit

import httpx2
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from homeostat.adapters import _signed
from homeostat.adapters._signed import NotSentError
from homeostat.adapters.trainers._answer import printable

_SECRET_MAX: Final = 16 * 1024
_PAGES: Final = 10  # of versions with one order's key; more is no answer
_PAGE: Final = 100
_ABSENT: Final = "RESOURCE_DOES_NOT_EXIST"


def _base(url: str) -> str:
    parts = urlsplit(_signed.plain_url(url))
    if parts.query:
        raise ValueError(f"{url!r}: take the query out of the address")
    if "/api/2.0" in parts.path:
        raise ValueError(f"{url!r}: leave /api/2.0 out; it is added")
    return url.rstrip("/")


class MlflowConfig(BaseModel):
    """Settings of the MLflow trainer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(default="mlflow", min_length=1, description="The trainer's name.")
    url: Annotated[str, AfterValidator(_base)] = Field(
        description="Base of the tracking server, http(s)://HOST:PORT with its path prefix."
    )
    model: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.\-]{0,199}$", description="The registered model."
    )
    experiment: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9 _./\-]{0,200}$",
        description="Where its training runs are; empty: only versions are looked for.",
    )
    alias: str = Field(
        default="",
        pattern=r"^[A-Za-z][A-Za-z0-9_\-]{0,100}$|^$",
        description="Names the version that serves; empty: no alias is read or moved.",
    )
    token_file: Path | None = Field(default=None, description="Holds a bearer token.")
    username: str = Field(default="", max_length=256, description="For basic authentication.")
    password_file: Path | None = Field(default=None, description="Holds that user's password.")
    allow: tuple[str, ...] = Field(
        default=(), description="HOST:PORT that may be private, without TLS or on another port."
    )
    read_timeout_s: float = Field(
        default=10.0, gt=0, le=60, description="Longest wait for all that is read, seconds."
    )

    @model_validator(mode="after")
    def _one_way_to_say_who(self) -> Self:
        if bool(self.username) != (self.password_file is not None):
            raise ValueError("username and password_file go together; set both or neither")
        if self.username and self.token_file is not None:
            raise ValueError("both token_file and username are set; keep one")
        if ":" in self.username or not self.username.isprintable():
            raise ValueError("username has a colon or a character that cannot be printed")
        return self


class _Answer(BaseModel):
    """Part of what the server says; types as they stand, what is not known is left."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class _Tag(_Answer):
    key: str
    value: str = ""


class _Alias(_Answer):
    alias: str
    version: str


class Model(_Answer):
    """The registered model."""

    name: str
    tags: list[_Tag] = []
    aliases: list[_Alias] = []

    def tag(self, key: str) -> str | None:
        """Return a tag's value, None for no such tag."""
        return next((one.value for one in self.tags if one.key == key), None)

    def named(self, alias: str) -> str:
        """Return the version that an alias names, empty for none."""
        return next((one.version for one in self.aliases if one.alias == alias), "")


class Version(_Answer):
    """One version of the model."""

    name: str
    version: str
    status: str = "READY"
    run_id: str = ""
    tags: list[_Tag] = []

    def tag(self, key: str) -> str:
        """Return a tag's value, empty for none."""
        return next((one.value for one in self.tags if one.key == key), "")


class _Info(_Answer):
    run_id: str
    status: str
    start_time: int = 0


class _Data(_Answer):
    tags: list[_Tag] = []


class Run(_Answer):
    """One run of an experiment."""

    info: _Info
    data: _Data = _Data()

    def tag(self, key: str) -> str:
        """Return a tag's value, empty for none."""
        return next((one.value for one in self.data.tags if one.key == key), "")


class _Experiment(_Answer):
    experiment_id: str


class _ModelOut(_Answer):
    registered_model: Model


class _VersionOut(_Answer):
    model_version: Version


class _VersionsOut(_Answer):
    model_versions: list[Version] = []
    next_page_token: str = ""


class _ExperimentOut(_Answer):
    experiment: _Experiment


class _RunsOut(_Answer):
    runs: list[Run] = []


class _Error(_Answer):
    error_code: str = ""
    message: str = ""


class RefusedError(ValueError):
    """The server answered, and not with a yes.

    Attributes:
        status: The answer's HTTP status.
        code: MLflow's own word for it, empty for none.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(printable(f"status {status} {code} {message}"))
        self.status, self.code = status, code


_Out = TypeVar("_Out", bound=_Answer)


class Registry:
    """Speaks to one server about one model."""

    def __init__(
        self, config: MlflowConfig, *, resolve: _signed.Resolve = _signed.resolved
    ) -> None:
        self._config, self._resolve = config, resolve
        self.client = _signed.new_client()

    async def model(self) -> Model:
        """Return the registered model.

        Raises:
            RefusedError: There is none, or nobody may see it.
            ValueError: The answer is of another model, or is none.
        """
        asked = {"name": self._config.model}
        found = (await self._get("registered-models/get", asked, _ModelOut)).registered_model
        if found.name != self._config.model:
            raise ValueError(f"asked for {self._config.model!r}, told of {printable(found.name)!r}")
        return found

    async def version(self, version: str) -> Version:
        """Return one version.

        Raises:
            ValueError: The answer is of another one, or is none.
        """
        asked = {"name": self._config.model, "version": version}
        found = (await self._get("model-versions/get", asked, _VersionOut)).model_version
        if (found.name, found.version) != (self._config.model, version):
            raise ValueError(f"asked for version {version}, told of {printable(found.version)!r}")
        return found

    async def versions(self, condition: str) -> list[Version]:
        """Return the model's versions that meet a condition of MLflow's filter language.

        Raises:
            ValueError: There are more of them than anybody reads, or the answer is none.
        """
        wanted = f"name='{self._config.model}' and {condition}"
        found: list[Version] = []
        page = ""
        for _ in range(_PAGES):
            asked = {"filter": wanted, "max_results": str(_PAGE)}
            answer = await self._get(
                "model-versions/search",
                asked | ({"page_token": page} if page else {}),
                _VersionsOut,
            )
            # Believed for this model alone: a server may know less of its filters than it says.
            found += [one for one in answer.model_versions if one.name == self._config.model]
            page = answer.next_page_token
            if not page:
                return found
        raise ValueError(f"more than {_PAGES} pages of versions with {printable(condition)}")

    async def runs(self, experiment: str, tag: str, value: str) -> Sequence[Run]:
        """Return the newest runs of an experiment that carry a tag; none without experiment.

        Raises:
            RefusedError: Nobody may see them.
        """
        asked = {"experiment_name": experiment}
        try:
            found = await self._get("experiments/get-by-name", asked, _ExperimentOut)
        except RefusedError as error:
            if error.code == _ABSENT:
                return ()  # the pipeline has not made it yet
            raise
        body = {
            "experiment_ids": [found.experiment.experiment_id],
            "filter": f"tags.`{tag}` = '{value}'",
            "max_results": _PAGE,
            "order_by": ["attributes.start_time DESC"],
        }
        answer = await self._send("POST", "runs/search", body, _RunsOut)
        return [one for one in answer.runs if one.tag(tag) == value]

    async def tag_model(self, key: str, value: str) -> None:
        """Set a tag of the model; the same again changes nothing."""
        body = {"name": self._config.model, "key": key, "value": value}
        await self._send("POST", "registered-models/set-tag", body, _Answer)

    async def tag_version(self, version: str, key: str, value: str) -> None:
        """Set a tag of a version; the same again changes nothing."""
        body = {"name": self._config.model, "version": version, "key": key, "value": value}
        await self._send("POST", "model-versions/set-tag", body, _Answer)

    async def move_alias(self, alias: str, version: str) -> None:
        """Let an alias name a version, or none where it is empty."""
        body = {"name": self._config.model, "alias": alias}
        if version:
            await self._send(
                "POST", "registered-models/alias", body | {"version": version}, _Answer
            )
        else:
            await self._send("DELETE", "registered-models/alias", body, _Answer)

    async def close(self) -> None:
        """Release connections."""
        await self.client.aclose()

    async def _get(self, path: str, asked: dict[str, str], out: type[_Out]) -> _Out:
        return await self._call("GET", f"{path}?{urlencode(asked)}", b"", out)

    async def _send(self, method: str, path: str, body: dict[str, Any], out: type[_Out]) -> _Out:
        return await self._call(method, path, json.dumps(body).encode(), out)

    async def _call(self, method: str, path: str, body: bytes, out: type[_Out]) -> _Out:
        headers = {"accept": "application/json", **authorization(self._config)}
        if body:
            headers["content-type"] = "application/json"
        asked = await _signed.request(
            self.client,
            method,
            f"{self._config.url}/api/2.0/mlflow/{path}",
            body=body,
            headers=headers,
            allow=self._config.allow,
            resolve=self._resolve,
        )
        status, answer = await _signed.answered(self.client, asked)
        if status != httpx2.codes.OK:
            raise _refused(status, answer)
        return out.model_validate_json(answer)


def _refused(status: int, answer: bytes) -> RefusedError:
    try:
        said = _Error.model_validate_json(answer)
    except ValueError:
        return RefusedError(status, "", printable(answer[:200]))
    return RefusedError(status, said.error_code, said.message)


def authorization(config: MlflowConfig) -> dict[str, str]:
    """Return the header that says who asks; files are read each time, so they can be rotated.

    Raises:
        NotSentError: A file cannot be read, or holds no secret.
    """
    if config.token_file is not None:
        token = _secret(config.token_file, "token_file")
        if not token.isascii() or " " in token:
            raise NotSentError(f"token_file {config.token_file} holds no token")
        return {"authorization": f"Bearer {token}"}
    if config.password_file is not None:
        password = _secret(config.password_file, "password_file")
        pair = base64.b64encode(f"{config.username}:{password}".encode()).decode()
        return {"authorization": f"Basic {pair}"}
    return {}


def _secret(path: Path, key: str) -> str:
    try:
        with path.open("rb") as file:
            secret = file.read(_SECRET_MAX + 1).strip()
    except OSError as error:
        raise NotSentError(f"{key} {path} cannot be read: {error.strerror}") from error
    text = secret.decode("utf-8", errors="replace")
    if not secret or len(secret) > _SECRET_MAX or not text.isprintable() or "\ufffd" in text:
        raise NotSentError(f"{key} {path} holds no secret; put one line of text into it")
    return text
