"""Actuator of Ray Serve: one deployment's replicas, its bound settings, its ongoing requests.

Over the dashboard's REST API. What is set there is the whole configuration of the cluster at once
(`_ray_serve`): it is read, one thing in it is changed, and it is written back. Ray compares nothing
and keeps no stamp of ours: between reading and writing somebody else may deploy, and is overwritten
then. So there is neither compare-and-set nor fencing, and the window is kept to the one request.

A yes counts once the settings in force show it. That the change is carried out is told by the
replicas that run, never by the status: it says RUNNING before they have heard of anything.
"""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from homeostat.adapters import _guard
from homeostat.adapters.actuators import _ray_config, _ray_serve, _stamp
from homeostat.adapters.actuators._ray_api import Api, RayError, said
from homeostat.adapters.actuators._ray_config import Place
from homeostat.adapters.actuators._ray_serve import Sight
from homeostat.adapters.actuators._stamp import DONE, NOT_APPLIED, UNKNOWN, Live, Outcome
from homeostat.base import names
from homeostat.base.errors import ActuatorError
from homeostat.base.intent import Intent, Receipt
from homeostat.base.part import Part
from homeostat.base.ports import Capabilities
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Levers, Snapshot, Stamp

_OK: Final = 200
# Understood, and not done; believed only if what stands there agrees.
_REFUSALS: Final = frozenset({301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 413, 415, 422})
_FIRST_PAUSE_S: Final = 0.05  # between read-backs; doubles
_LAST_PAUSE_S: Final = 0.5
_ODD = (RayError, ValueError, KeyError, TypeError, AttributeError)
_PATH: Final = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){0,9}$"

KeyPath = Annotated[str, Field(pattern=_PATH, max_length=500)]


class RayConfig(BaseModel):
    """Settings of the Ray Serve actuator."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(default="ray", min_length=1, description="The actuator's name.")
    url: _guard.BaseUrl = Field(description="Ray's dashboard, http(s)://HOST:PORT.")
    application: str = Field(min_length=1, max_length=253, description="The application's name.")
    deployment: str = Field(min_length=1, max_length=253, description="The deployment in it.")
    pool: str = Field(default="a", min_length=1, description="The pool that its replicas are.")
    batch_max: KeyPath | None = Field(
        default=None, description="Where user_config holds the largest batch; dots between keys."
    )
    batch_wait_ms: KeyPath | None = Field(
        default=None, description="Where it holds the longest wait for a batch, milliseconds."
    )
    token_file: Path | None = Field(default=None, description="Holds a bearer token.")
    ca_file: Path | None = Field(default=None, description="PEM certificates to trust.")
    read_timeout_s: float = Field(
        default=5.0, gt=0, le=60, description="Longest wait for a reading, seconds."
    )
    settle_s: float = Field(
        default=1.0,
        gt=0,
        le=60,
        description="After a write, how long replicas are not believed to have heard of it.",
    )

    @model_validator(mode="after")
    def _keeps_the_token(self) -> Self:
        _guard.kept_secret(self.url, self.token_file)
        return self

    @property
    def paths(self) -> Mapping[str, str]:
        """Lever to where `user_config` holds its value."""
        said = {names.BATCH_MAX: self.batch_max, names.BATCH_WAIT: self.batch_wait_ms}
        return {lever: path for lever, path in said.items() if path is not None}


class RayActuator:
    """Reads and writes one deployment of one application."""

    def __init__(self, config: RayConfig, *, resolve: _guard.Resolve = _guard.resolved) -> None:
        self._config = config
        self._place = Place(
            application=config.application,
            deployment=config.deployment,
            pool=config.pool,
            paths=config.paths,
        )
        self._api = Api(
            config.url, token_file=config.token_file, ca_file=config.ca_file, resolve=resolve
        )
        self._wrote: float | None = None  # when something was last sent, by the monotonic clock

    @property
    def name(self) -> str:
        """The actuator's name in the configuration."""
        return self._config.name

    def capabilities(self) -> Capabilities:
        """Say what Ray can do: neither compare-and-set nor fencing, and all is written at once."""
        whole = (self._place.replicas, *sorted(_ray_config.WHOLE & set(self._place.levers)))
        return Capabilities(
            compare_and_set=False,
            fencing=False,
            levers=self._place.levers,
            owner=(
                "whoever reaches Ray's dashboard, and its autoscaler between its bounds; a write "
                "replaces the Serve config of all applications, so that a deployment by somebody "
                "else in the same moment is overwritten, unseen"
            ),
            granularity=tuple((lever, 1.0) for lever in whole),
        )

    async def read(self, deployment: str, now: TimeNs) -> Snapshot:
        """Read replicas and levers; where somebody else decides a lever, it is left out.

        Raises:
            ActuatorError: Ray could not be read, or its answer makes no sense.
        """
        where = f"{self.name}: Ray at {self._config.url}"
        try:
            async with asyncio.timeout(self._config.read_timeout_s):
                sight = await self._look()
            replicas, levers, changing = sight.replicas(), sight.levers, sight.changing
        except TimeoutError as error:
            limit_s = self._config.read_timeout_s
            raise ActuatorError(f"{where} did not answer within {limit_s:g} s") from error
        except _ODD as error:
            raise ActuatorError(f"{where}: {_plain(error)}") from error
        return Snapshot(
            deployment=deployment,
            observed_at=now,
            replicas=replicas,
            releases=(),
            levers=levers,
            # Ray has no place for a stamp: what stands there is nobody's, as far as it can tell.
            stamps=(Stamp(actuator=self.name, token=None, intent=None, epoch=None),),
            changing=changing or self._is_too_soon(),
        )

    async def apply(self, intent: Intent, now: TimeNs) -> Receipt:
        """Write the whole configuration with the intent's levers set, and wait until they show.

        An empty `post` writes nothing: there is no place for a claim. NOT_APPLIED only when nothing
        was sent, or Ray refused and the read-back agrees. DONE only when the levers are in force.
        """
        started = time.monotonic_ns()
        outcome = await self._write(intent, (intent.deadline - now) / SECOND)
        return _stamp.receipt(intent, outcome, now, started)

    async def close(self) -> None:
        """Release connections."""
        await self._api.close()

    async def _look(self) -> Sight:
        return _ray_serve.read(await self._api.get(), self._place)

    def _is_too_soon(self) -> bool:
        """Return whether Ray's control loop may not have told the replicas of a write of ours.

        It puts settings in force first and turns to the replicas in its next round, a tenth of a
        second later; until then they all run, on what was there before.
        """
        return self._wrote is not None and time.monotonic() - self._wrote < self._config.settle_s

    def _problem(self, post: Levers) -> str:
        """Return why levers cannot be set, empty if they can."""
        for lever, value in post:
            if lever not in self._place.levers:
                return f"unknown lever {lever!r} (known: {', '.join(self._place.levers)})"
            if why := _ray_config.bad_value(lever, value, self._place):
                return why
        return ""

    async def _write(self, intent: Intent, left_s: float) -> Outcome:
        if why := self._problem(intent.post):
            return Outcome(NOT_APPLIED, why)
        if left_s <= 0.0:
            return Outcome(NOT_APPLIED, "the deadline was over before anything was sent")
        sent = False
        try:
            async with asyncio.timeout(left_s):
                before = await self._look()
                outcome = self._refused(intent, before)
                if outcome is not None:
                    return outcome
                config = before.changed(intent.post)
                sent, self._wrote = True, time.monotonic()
                return await self._judged(await self._api.put(config), intent, before)
        except TimeoutError:
            return Outcome(UNKNOWN if sent else NOT_APPLIED, f"no answer within {left_s:.1f} s")
        except RayError as error:
            return Outcome(UNKNOWN if sent and error.sent else NOT_APPLIED, _plain(error))
        except _ODD as error:
            return Outcome(UNKNOWN if sent else NOT_APPLIED, f"an odd answer: {_plain(error)}")

    def _refused(self, intent: Intent, before: Sight) -> Outcome | None:
        """Return the outcome that is known before anything is sent: done already, or not to be."""
        if not intent.post:
            return Outcome(DONE, "")
        if why := before.refusal(intent.post, undo=intent.undo):
            return Outcome(NOT_APPLIED, why)
        stale = _stamp.refusal(intent, Live(before.levers, None, None))
        if stale is not None:
            return stale
        # Absolute values that stand there need no write, which would send everybody's again.
        return Outcome(DONE, "") if before.shows(intent.post) else None

    async def _judged(self, status: int, intent: Intent, before: Sight) -> Outcome:
        """Say what the answer and the read-back prove together."""
        if status != _OK:
            after = await self._look()
            same = after.applications == before.applications
            return Outcome(NOT_APPLIED if status in _REFUSALS and same else UNKNOWN, said(status))
        pause_s = _FIRST_PAUSE_S
        while not (await self._look()).shows(intent.post):
            await asyncio.sleep(pause_s)
            pause_s = min(2.0 * pause_s, _LAST_PAUSE_S)
        self._wrote = time.monotonic()
        return Outcome(DONE, "")


def _plain(error: Exception) -> str:
    """Return an error in one line; those about answers do not quote them."""
    return " ".join((str(error) or type(error).__name__).split())[:300]


def build(config: RayConfig, **outside: _guard.Resolve) -> RayActuator:
    """Return an actuator; `outside` is `resolve` of `RayActuator`, for tests."""
    return RayActuator(config, **outside)


PART = Part(
    kind="actuator",
    name="ray",
    summary="Scales a Ray Serve deployment, and sets its user_config and ongoing requests.",
    config=RayConfig,
    build=build,
)
