"""Actuator of HAProxy: shares of the traffic, and servers in and out of rotation.

Over the runtime API (2.6 and later, level admin). HAProxy overwrites whatever is there: no
compare-and-set, no fencing; see `_stamp` for what is done instead. The stamp is a variable of the
process, which HAProxy marks as experimental (`Tainted: 0x8` in `show info`). It is gone after a
reload, and so are the weights: what was declared in the configuration holds again.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from homeostat.adapters.actuators import _haproxy_socket as runtime
from homeostat.adapters.actuators import _haproxy_weights as weights
from homeostat.adapters.actuators import _stamp
from homeostat.adapters.actuators._haproxy_socket import Server, SocketError
from homeostat.adapters.actuators._stamp import DONE, NOT_APPLIED, UNKNOWN, Live, Outcome
from homeostat.base import names
from homeostat.base.errors import ActuatorError
from homeostat.base.intent import Intent, Receipt
from homeostat.base.part import Part
from homeostat.base.ports import Capabilities
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Levers, Replica, ReplicaState, Scalar, Snapshot, Stamp

_PERCENT: Final = 100
# What HAProxy 2.6 says when it refuses a command of ours and has changed nothing.
_REFUSALS: Final = (
    "Permission denied",
    "No such server",
    "No such backend",
    "Can't find backend",
    "Absolute weight can only be",
    "Backend is using a static LB algorithm",
    "This command is restricted to",
)


def _place(text: str) -> str:
    """Return a socket's place if it is one.

    Raises:
        ValueError: It is neither a path nor HOST:PORT.
    """
    host, _, port = text.rpartition(":")
    if not text.isprintable() or " " in text:
        raise ValueError(f"{text!r} has characters that no address has")
    tcp = bool(host) and "/" not in text and port.isascii() and port.isdecimal()
    if not text.startswith("/") and not (tcp and 0 < int(port) <= 65_535):  # noqa: PLR2004 - ports
        raise ValueError(f"{text!r} is no socket; write /PATH, or HOST:PORT for TCP")
    return text


class HaproxyConfig(BaseModel):
    """Settings of the HAProxy actuator."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(default="haproxy", min_length=1, description="The actuator's name.")
    socket: Annotated[str, AfterValidator(_place)] = Field(
        description="The stats socket at level admin: a path, or HOST:PORT."
    )
    backend: str = Field(pattern=f"^{runtime.NAME.pattern}$", description="The backend's name.")
    pools: Mapping[str, tuple[str, ...]] = Field(
        min_length=1, description="Pool to the names of its servers; * and ? stand for any."
    )
    stable: str = Field(description="The pool that has what the others leave.")
    drains: bool = Field(
        default=True, description="Take servers out of rotation, not only shift traffic."
    )
    read_timeout_s: float = Field(
        default=2.0, gt=0, le=60, description="Longest wait for the servers' state, seconds."
    )

    @model_validator(mode="after")
    def _stable_is_there(self) -> Self:
        if self.stable not in self.pools:
            raise ValueError(f"stable {self.stable!r} is none of {', '.join(self.pools)}")
        return self


@dataclass(frozen=True, slots=True)
class _View:
    """What was read at once."""

    pools: dict[str, list[Server]]
    live: Live

    @property
    def servers(self) -> dict[str, Server]:
        return {one.name: one for servers in self.pools.values() for one in servers}


class HaproxyActuator:
    """Reads and writes one backend of one HAProxy."""

    def __init__(self, config: HaproxyConfig) -> None:
        self._config = config
        self._variable = runtime.variable(config.backend)
        self._weighed = {
            names.lever_weight(pool): pool for pool in config.pools if pool != config.stable
        }

    @property
    def name(self) -> str:
        """The actuator's name in the configuration."""
        return self._config.name

    def capabilities(self) -> Capabilities:
        """Say what HAProxy can do: neither compare-and-set nor fencing."""
        drained = (names.lever_drained(""),) if self._config.drains else ()
        levers = (*self._weighed, *drained)
        return Capabilities(
            compare_and_set=False,
            fencing=False,
            levers=levers,
            owner="whoever reaches HAProxy's stats socket or reloads it",
            granularity=tuple((lever, 1.0) for lever in levers),
        )

    async def read(self, deployment: str, now: TimeNs) -> Snapshot:
        """Read servers, weights and the stamp.

        Raises:
            ActuatorError: HAProxy could not be read, or its answer makes no sense.
        """
        where = f"{self.name}: HAProxy at {self._config.socket}"
        try:
            async with asyncio.timeout(self._config.read_timeout_s):
                view = await self._read()
        except TimeoutError as error:
            limit_s = self._config.read_timeout_s
            raise ActuatorError(f"{where} did not answer within {limit_s:g} s") from error
        except (SocketError, ValueError) as error:
            raise ActuatorError(f"{where}: {error}") from error
        live = view.live
        return Snapshot(
            deployment=deployment,
            observed_at=now,
            replicas=tuple(
                sorted(
                    (_replica(one, pool) for pool, many in view.pools.items() for one in many),
                    key=lambda one: one.name,
                )
            ),
            releases=(),
            levers=live.levers,
            stamps=(Stamp(actuator=self.name, token=None, intent=live.intent, epoch=live.epoch),),
        )

    async def apply(self, intent: Intent, now: TimeNs) -> Receipt:
        """Write the intent's levers and the stamp in one line; an empty `post` stamps only.

        NOT_APPLIED only when nothing was sent, or HAProxy refused and the read-back agrees. DONE
        only when HAProxy came to the end of the line and the read-back agrees.
        """
        started = time.monotonic_ns()
        outcome = await self._write(intent, (intent.deadline - now) / SECOND)
        return _stamp.receipt(intent, outcome, now, started)

    async def close(self) -> None:
        """Release nothing: each line has a connection of its own."""

    async def _write(self, intent: Intent, left_s: float) -> Outcome:
        if left_s <= 0.0:
            return Outcome(NOT_APPLIED, "the deadline was over before anything was sent")
        if not runtime.NAME.fullmatch(intent.id):
            return Outcome(NOT_APPLIED, f"intent {intent.id!r} cannot be written into a stamp")
        sent = False
        try:
            async with asyncio.timeout(left_s):
                before = await self._read()
                refused = self._problem(intent.post, before) or _stamp.refusal(intent, before.live)
                if refused is not None:
                    return refused
                line = self._line(intent, before)
                sent = True
                said = await runtime.ask(self._config.socket, line)
                return _judge(said, intent, before, await self._read())
        except TimeoutError:
            return Outcome(UNKNOWN if sent else NOT_APPLIED, f"no answer within {left_s:.1f} s")
        except (SocketError, ValueError) as error:
            landed = sent and getattr(error, "sent", True)
            return Outcome(UNKNOWN if landed else NOT_APPLIED, str(error))

    def _problem(self, post: Levers, view: _View) -> Outcome | None:
        """Return why levers cannot be set, None if they can."""
        drained = {names.lever_drained(name): one for name, one in view.servers.items()}
        known = (*self._weighed, *(drained if self._config.drains else ()))
        for lever, value in post:
            if lever not in known:
                text = f"unknown lever {lever!r} (known: {', '.join(known)})"
                return Outcome(NOT_APPLIED, text)
            high = _PERCENT if lever in self._weighed else 1
            if not _stamp.whole(value, high):
                text = f"{lever} must be a whole number from 0 to {high}, got {value!r}"
                return Outcome(NOT_APPLIED, text)
            server = drained.get(lever)
            if server is not None and server.in_maintenance:
                text = f"{server.name} is in maintenance; whoever put it there brings it back"
                return Outcome(NOT_APPLIED, text, conflict=True)
        return None

    def _line(self, intent: Intent, before: _View) -> str:
        """Return the line of commands: first what adds, then what takes, last the stamp.

        Raises:
            ValueError: Whole weights cannot say these shares.
        """
        post, after = dict(intent.post), before.servers
        backend = self._config.backend
        wanted = self._weights(post, before)
        changed = {name: to for name, to in wanted.items() if after[name].weight != to}
        told = {
            name: int(post[names.lever_drained(name)]) == 1
            for name in after
            if names.lever_drained(name) in post
            and after[name].is_out != (int(post[names.lever_drained(name)]) == 1)
        }
        commands = [
            f"set server {backend}/{name} state ready" for name, out in told.items() if not out
        ]
        commands += [
            f"set server {backend}/{name} weight {to}"
            for name, to in sorted(changed.items(), key=lambda one: after[one[0]].weight - one[1])
        ]
        commands += [
            f"set server {backend}/{name} state drain" for name, out in told.items() if out
        ]
        covered = _covered(after)
        covered |= {f"weight/{name}": to for name, to in wanted.items()}
        covered |= {f"told/{name}": _DRAINED if out else 0 for name, out in told.items()}
        stamp = _stamp.written(intent, before.live, covered)
        commands.append(f"experimental-mode on; set var {self._variable} str({stamp})")
        # Its value at the end of the answer shows that all of the line was run.
        return "; ".join([*commands, f"get var {self._variable}"])

    def _weights(self, post: Mapping[str, Scalar], before: _View) -> dict[str, int]:
        asked = {pool: int(post[lever]) for lever, pool in self._weighed.items() if lever in post}
        if not asked:
            return {}
        wanted = (weights.shares(before.pools) or {}) | asked
        stable = self._config.stable
        wanted[stable] = _PERCENT - sum(share for pool, share in wanted.items() if pool != stable)
        if wanted[stable] < 0:
            raise ValueError(f"the pools beside {stable} would have more than all: {wanted}")
        return weights.planned(before.pools, wanted)

    async def _read(self) -> _View:
        backend = self._config.backend
        line = f"show servers state {backend}; get var {self._variable}"
        answer = await runtime.ask(self._config.socket, line)
        found = runtime.servers(answer, backend)
        text = runtime.value(answer)
        if text is None:
            raise ValueError(f"the answer does not come to the stamp: {answer[-200:]!r}")
        pools = self._pools(found)
        levers: dict[str, Scalar] = {}
        share = weights.shares(pools)
        if share is not None:  # else every share is unknown, and nothing can be shifted
            levers |= {lever: share[pool] for lever, pool in self._weighed.items()}
        if self._config.drains:
            levers |= {names.lever_drained(one.name): int(one.is_out) for one in found}
        intent, epoch = _stamp.read(text, _covered({one.name: one for one in found}))
        return _View(pools, Live(tuple(sorted(levers.items())), intent, epoch))

    def _pools(self, found: Sequence[Server]) -> dict[str, list[Server]]:
        """Return each pool's servers.

        Raises:
            ValueError: A server is in no pool, or in two, or a pool has none.
        """
        pools: dict[str, list[Server]] = {pool: [] for pool in self._config.pools}
        for one in found:
            fits = [
                pool
                for pool, patterns in self._config.pools.items()
                if any(fnmatchcase(one.name, pattern) for pattern in patterns)
            ]
            if len(fits) != 1:
                where = f"in {' and '.join(fits)}" if fits else "in no pool"
                raise ValueError(f"server {one.name!r} is {where}; put it into one under `pools`")
            pools[fits[0]].append(one)
        empty = [pool for pool, servers in pools.items() if not servers]
        if empty:
            raise ValueError(f"no server of the backend is in pool {', '.join(empty)}")
        return pools


_DRAINED: Final = 0x08  # what a server that was drained at run time shows


def _covered(servers: Mapping[str, Server]) -> dict[str, Scalar]:
    """Return what a stamp covers: all that can be set at run time."""
    found: dict[str, Scalar] = {f"weight/{name}": one.weight for name, one in servers.items()}
    return found | {f"told/{name}": one.by_command for name, one in servers.items()}


def _replica(server: Server, pool: str) -> Replica:
    return Replica(
        name=server.name,
        pool=pool,
        version=None,  # HAProxy does not know what a server runs, nor how often it was started
        state=_state(server),
        incarnation=0,
        address=server.address,
    )


def _state(server: Server) -> ReplicaState:
    if server.is_out or server.is_stopping:
        return ReplicaState.DRAINING
    if server.is_down:
        return ReplicaState.GONE  # by HAProxy's own health check
    return ReplicaState.STARTING if server.is_starting else ReplicaState.READY


def _judge(said: str, intent: Intent, before: _View, after: _View) -> Outcome:
    """Say what the answer and the read-back prove together."""
    live = dict(after.live.levers)
    wrong = {name: live.get(name) for name, value in intent.post if live.get(name) != value}
    ours = after.live.intent == _stamp.stamped(intent, before.live)
    newer = (after.live.epoch or 0) >= intent.epoch
    quiet = ("proc.", runtime.NO_VALUE)
    complaints = [line for line in said.splitlines() if line and not line.startswith(quiet)]
    if runtime.value(said) and not complaints and ours and newer and not wrong:
        return Outcome(DONE, "")
    text = f"HAProxy said {' '.join(complaints)[:200]!r}"
    known = bool(complaints) and all(line.startswith(_REFUSALS) for line in complaints)
    if known and _covered(after.servers) == _covered(before.servers):
        return Outcome(NOT_APPLIED, text)
    return Outcome(UNKNOWN, f"{text}; the read-back shows {wrong or 'another stamp'}")


def build(config: HaproxyConfig) -> HaproxyActuator:
    """Return an actuator of one backend."""
    return HaproxyActuator(config)


PART = Part(
    kind="actuator",
    name="haproxy",
    summary="Shifts traffic between pools of servers and drains them, by HAProxy's runtime API.",
    config=HaproxyConfig,
    build=build,
)
