"""One object of the API server whose fields are levers: what all actuators of Kubernetes share.

Writes are merge patches with the resource version that was read, so that the API server itself
refuses what is out of date. The token is a digest of what anybody may want of the object and of our
stamp, an annotation: a change of status alone is no conflict, any other is. An older epoch is
refused by looking first, and the resource version makes that look part of the write.

A view (`_kubernetes_view`) says what one kind of object has for levers, and who else decides them.
Where somebody does, or may as far as can be seen, a lever is not reported and a write is refused by
name.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from homeostat.adapters.actuators import _kubernetes_owner as owner
from homeostat.adapters.actuators import _kubernetes_restart as restart
from homeostat.adapters.actuators import _stamp
from homeostat.adapters.actuators._kubernetes_api import Api, ApiError
from homeostat.adapters.actuators._kubernetes_view import ApiConfig, Holding, View
from homeostat.adapters.actuators._stamp import DONE, NOT_APPLIED, UNKNOWN, Live, Outcome
from homeostat.base.errors import ActuatorError
from homeostat.base.intent import Intent, Receipt
from homeostat.base.ports import Capabilities
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Snapshot, Stamp

STAMP: Final = "homeostat.dev/stamp"
AHEAD: Final = "homeostat.dev/stamp-ahead"  # true from the moment that what it tells of stands
_CONFLICT: Final = 409
_SLICES: Final = 3  # of what is left, one for a stamp that goes ahead: room to look and go on
_PAUSE_S: Final = 0.05  # after a stamp that was lost at once
_REFUSALS: Final = frozenset({400, 401, 403, 404, 405, 410, 413, 415, 422, 429})
_ODD = (ApiError, ValueError, KeyError, TypeError, AttributeError)


class ObjectActuator:
    """Reads and writes one object, as its view says; with `evict` it also restarts its pods."""

    def __init__(self, name: str, config: ApiConfig, view: View, *, evict: bool = False) -> None:
        self._name, self._config, self._view = name, config, view
        self._levers = (*view.levers, restart.PREFIX) if evict else view.levers
        self._api = Api(config.url, token_file=config.token_file, ca_file=config.ca_file)

    @property
    def name(self) -> str:
        """The actuator's name in the configuration."""
        return self._name

    def capabilities(self) -> Capabilities:
        """Say what the API server does: compare-and-set, and fencing by the stamp it holds."""
        return Capabilities(
            compare_and_set=True,
            fencing=True,
            levers=self._levers,
            owner="people, pipelines and controllers that may patch it; those known are left alone",
            granularity=tuple((lever, 1.0) for lever in self._levers),
        )

    async def read(self, deployment: str, now: TimeNs) -> Snapshot:
        """Read pods, the levers unless somebody else owns them, and the stamp.

        Raises:
            ActuatorError: The API server could not be read, or its answer makes no sense.
        """
        where = f"{self.name}: {self._config.url}, {self._view.kind.name}/{self._view.object_name}"
        try:
            async with asyncio.timeout(self._config.read_timeout_s):
                obj = await self._object()
                sight, owners = await asyncio.gather(
                    self._view.sight(self._api, obj), self._view.owners(self._api, obj)
                )
            live = self._live(obj)
            stamp = Stamp(
                actuator=self.name, token=self._token(obj), intent=live.intent, epoch=live.epoch
            )
        except TimeoutError as error:
            limit_s = self._config.read_timeout_s
            raise ActuatorError(f"{where} did not answer within {limit_s:g} s") from error
        except _ODD as error:
            raise ActuatorError(f"{where}: {error!s:.300}") from error
        return Snapshot(
            deployment=deployment,
            observed_at=now,
            replicas=tuple(sorted(sight.replicas, key=lambda one: one.name)),
            releases=(),
            levers=tuple(one for one in live.levers if not owners.get(one[0])),
            stamps=(stamp,),
            changing=sight.changing or (restart.PODS in obj and restart.is_ending(obj)),
        )

    async def apply(self, intent: Intent, now: TimeNs) -> Receipt:
        """Patch levers and stamp on the version that was read; an empty `post` stamps only.

        NOT_APPLIED only when nothing was sent or the API server said no; a silence is UNKNOWN.
        """
        started = time.monotonic_ns()
        outcome = await self._write(intent, (intent.deadline - now) / SECOND)
        return _stamp.receipt(intent, outcome, now, started)

    async def close(self) -> None:
        """Release connections."""
        await self._api.close()

    async def _object(self) -> dict[str, Any]:
        """Return the object as it is.

        Raises:
            ApiError: There is none, or it may not be read.
        """
        view = self._view
        return await self._whole(
            await self._api.object(view.kind, self._config.home, view.object_name)
        )

    async def _whole(self, obj: dict[str, Any]) -> dict[str, Any]:
        """Return an object with its pods, where those may be restarted.

        Raises:
            ApiError: They may not be read.
        """
        if restart.PREFIX not in self._levers:
            return obj
        return obj | {restart.PODS: await self._view.restartable(self._api, obj)}

    async def _patch_it(
        self, change: dict[str, Any], obj: owner.Object, part: str = ""
    ) -> dict[str, Any]:
        """Merge a change into the object that was read, or into a part of it.

        Raises:
            ApiError: It was not done, or nobody knows.
        """
        view = self._view
        path = await self._api.path(view.kind, self._config.home, view.object_name)
        after = await self._api.patch(path + part, change)
        return after if restart.PODS not in obj else after | {restart.PODS: obj[restart.PODS]}

    async def _write(self, intent: Intent, left_s: float) -> Outcome:
        problem = self._problem(intent)
        if problem is not None:
            return Outcome(NOT_APPLIED, problem)
        if left_s <= 0.0:
            return Outcome(NOT_APPLIED, "the deadline was over before anything was sent")
        course = _Course(wait_s=left_s / _SLICES)
        try:
            async with asyncio.timeout(left_s):
                while (outcome := await self._attempt(intent, course)) is None:
                    pass  # its version changed in between, and only that: look again
                return outcome
        except TimeoutError:
            status = UNKNOWN if course.sent else NOT_APPLIED
            return course.done or Outcome(status, f"no answer within {left_s:.1f} s")
        except ApiError as error:
            safe = not course.sent or not error.sent or error.status in _REFUSALS
            return Outcome(NOT_APPLIED if safe else UNKNOWN, str(error))
        except _ODD as error:
            status = UNKNOWN if course.sent else NOT_APPLIED
            return Outcome(status, f"an odd answer: {error!r:.300}")

    async def _attempt(self, intent: Intent, course: "_Course") -> Outcome | None:
        """Look, and patch what was seen; None when it is to be looked at again.

        Raises:
            ApiError: The API server said no, or nothing that proves anything.
        """
        obj = await self._object()
        refused = self._refused(intent, obj)
        if refused is None and intent.post:
            refused = await self._forbidden(intent, obj)
        if refused is not None:
            return await self._tidied(refused, course) if _notes(obj).get(AHEAD) else refused
        course.sent = True
        try:
            after = await self._patched(intent, obj, course)
        except ApiError as error:
            if error.status == _CONFLICT:
                course.sent = False
                return None
            raise
        if after is None:
            return None
        outcome = self._judge(intent, after)
        return await self._tidied(outcome, course) if _notes(after).get(AHEAD) else outcome

    async def _tidied(self, outcome: Outcome, course: "_Course") -> Outcome:
        """Put a stamp that went ahead in its place once it counts, and return the outcome.

        Else the one before could come true again, were somebody to take the change back. What the
        stamp says is the same in either place: nothing depends on this but that.
        """
        if outcome.status is not DONE:
            return outcome
        course.done = outcome
        try:
            async with asyncio.timeout(course.wait_s):
                while await self._is_still_ahead():
                    pass
        except (TimeoutError, *_ODD):
            pass  # the change is done all the same
        return outcome

    async def _is_still_ahead(self) -> bool:
        """Put the stamp that went ahead in its place, and return whether to try once more.

        Raises:
            ApiError: The object cannot be read.
        """
        obj = await self._object()
        ahead = _notes(obj).get(AHEAD)
        if not ahead or self._stamped(obj) != ahead:
            return False
        version = obj["metadata"]["resourceVersion"]
        placed = {STAMP: ahead, AHEAD: None, **restart.notes(obj, None)}
        meta = {"resourceVersion": version, "annotations": placed}
        over = self._view.over(obj) if isinstance(self._view, Holding) else {}
        try:
            await self._patch_it({"metadata": meta, **over}, obj)
        except ApiError as error:
            return error.status == _CONFLICT
        return False

    async def _patched(
        self, intent: Intent, obj: owner.Object, course: "_Course"
    ) -> owner.Object | None:
        """Return the object as it stands after the patch, or None when our stamp's fate is unknown.

        A change by the status takes two writes, for the status takes no annotation; so does an
        eviction. The stamp goes ahead, beside the one that stands. It moves nothing, not even the
        token, so that a lost one may be looked for and sent again, and the change can land until
        the token moves.

        Raises:
            ApiError: The API server said no, or nothing that proves anything.
        """
        eviction = restart.meant(obj, intent.post)
        status = self._view.status(obj, intent) if intent.post and eviction is None else {}
        patch = self._patch(intent, obj, ahead=bool(status) or eviction is not None)
        if not status and eviction is None:
            return await self._patch_it(patch, obj)
        holds = owner.stands(obj, {key: one for key, one in patch.items() if key != "metadata"})
        if not holds or _notes(obj).get(AHEAD) != patch["metadata"]["annotations"][AHEAD]:
            try:
                async with asyncio.timeout(course.wait_s):
                    obj = await self._patch_it(patch, obj)
            except TimeoutError:
                return None
            except ApiError as error:
                if error.status or not error.sent:
                    raise
                await asyncio.sleep(_PAUSE_S)
                return None
        if eviction is not None:
            return await self._evicted(eviction)
        version = obj["metadata"]["resourceVersion"]
        asked = {"metadata": {"resourceVersion": version}, "status": status}
        return await self._patch_it(asked, obj, "/status")

    async def _evicted(self, eviction: restart.Eviction) -> owner.Object:
        """Evict a pod, and return the object as it stands then.

        Raises:
            ApiError: It was refused and the pod is there, or nobody knows.
        """
        refused: ApiError | None = None
        try:
            await restart.evict(self._api, self._config.home, self._config.namespace, eviction)
        except ApiError as error:
            if not error.sent:
                raise
            refused = error
        try:
            obj = await self._object()
        except ApiError as error:  # whatever it says is about the reading
            raise ApiError(f"an eviction was asked for, and then: {error}") from error
        if refused is not None and not restart.is_gone(obj, eviction):
            raise refused
        return obj

    def _problem(self, intent: Intent) -> str | None:
        """Return why levers cannot be set, None if they can."""
        for lever, value in intent.post:
            is_restart = restart.PREFIX in self._levers and lever.startswith(restart.PREFIX)
            if not is_restart and lever not in self._view.levers:
                return f"unknown lever {lever!r} (known: {', '.join(self._levers)})"
            check = restart.problem if is_restart else self._view.problem
            if why := check(lever, value):
                return why
        if intent.post and intent.token is None:
            return "the intent has no token to compare with"
        return None

    def _refused(self, intent: Intent, obj: owner.Object) -> Outcome | None:
        """Return the outcome that an object decides by itself: done before, or out of date."""
        live = self._live(obj)
        if intent.post and live.intent == intent.id and _stands(live, intent):
            return Outcome(DONE, "it had landed before", token=self._token(obj))
        stale = _stamp.refusal(intent, live)
        if stale is not None:
            return stale
        if intent.token is not None and intent.token != self._token(obj):
            text = f"it is at {self._token(obj)} by now, not at {intent.token}"
            return Outcome(NOT_APPLIED, text, conflict=True)
        why = ""
        if restart.is_asked(intent.post):
            why = restart.unfit(obj, intent.post)
        elif intent.post:
            why = self._view.unfit(obj, intent)
        return Outcome(NOT_APPLIED, why) if why else None

    async def _forbidden(self, intent: Intent, obj: owner.Object) -> Outcome | None:
        """Return why somebody else's word is against it, None if nobody's is."""
        if (eviction := restart.meant(obj, intent.post)) is not None:
            why = await restart.forbidden(self._api, self._config.home, eviction, obj)
            return Outcome(NOT_APPLIED, why) if why else None
        owners = await self._view.owners(self._api, obj)
        found = dict.fromkeys(one for lever, _ in intent.post for one in owners.get(lever, ()))
        if found:
            text = f"{' and '.join(found)} decides that; change it there, or act through it"
            return Outcome(NOT_APPLIED, text)
        why = await self._view.forbidden(self._api, obj, intent)
        return Outcome(NOT_APPLIED, why) if why else None

    def _patch(self, intent: Intent, obj: owner.Object, *, ahead: bool) -> dict[str, Any]:
        live, eviction = self._live(obj), restart.meant(obj, intent.post)
        covered = restart.covered(obj, dict(live.levers))
        if eviction is not None:  # it takes the place of the last one
            covered = {name: one for name, one in covered.items() if name in self._view.levers}
        written = _stamp.written(intent, live, covered | dict(intent.post))
        notes = {STAMP: written, AHEAD: None}
        if ahead:
            notes = {STAMP: self._stamped(obj) or None, AHEAD: written}
        notes |= restart.notes(obj, eviction)
        asks = intent.post and eviction is None
        change = self._view.change(obj, intent) if asks else {}
        if not intent.post and isinstance(self._view, Holding):
            change = self._view.over(obj)  # of a write that came to nothing, or was not tidied
        notes |= change.get("metadata", {}).get("annotations", {})
        meta = {"resourceVersion": obj["metadata"]["resourceVersion"], "annotations": notes}
        return change | {"metadata": meta}

    def _judge(self, intent: Intent, after: owner.Object) -> Outcome:
        """Say what the object that came back proves."""
        live = self._live(after)
        ours = not intent.post or live.intent == intent.id
        if ours and _stands(live, intent) and (live.epoch or 0) >= intent.epoch:
            return Outcome(DONE, "", token=self._token(after))
        return Outcome(UNKNOWN, f"the API server took it and shows {live}")

    def _live(self, obj: owner.Object) -> Live:
        levers = self._view.values(obj) | restart.levers(obj)
        covered = restart.covered(obj, levers)
        intent, epoch = _stamp.read(self._stamped(obj), covered)
        _, ahead = _stamp.read(str(_notes(obj).get(AHEAD, "")), covered)
        return Live(tuple(sorted(levers.items())), intent, max(epoch or 0, ahead or 0))

    def _stamped(self, obj: owner.Object) -> str:
        """Return the stamp that counts: the one that went ahead once what it tells of stands."""
        ahead = str(_notes(obj).get(AHEAD, ""))
        told, _ = _stamp.read(ahead, restart.covered(obj, self._view.values(obj)))
        return str(_notes(obj).get(STAMP, "")) if told is None else ahead

    def _token(self, obj: owner.Object) -> str:
        """Return a digest of what anybody may want, and of our stamp."""
        text = json.dumps([*self._view.wanted(obj), self._stamped(obj)], sort_keys=True)
        # A letter first: what is all digits is taken for a counter that can be lower or higher.
        return f"h{hashlib.sha256(text.encode()).hexdigest()[:16]}"


@dataclass(slots=True, kw_only=True)
class _Course:
    """How far one write has come.

    Attributes:
        wait_s: How long a stamp that goes ahead is waited for.
        sent: A write may have reached the API server, and its fate is not known.
        done: How it ended, while only the stamp is still put in its place.
    """

    wait_s: float
    sent: bool = False
    done: Outcome | None = None


def _stands(live: Live, intent: Intent) -> bool:
    """Return whether everything that is wanted is there."""
    there = dict(live.levers)
    return all(there.get(lever) == value for lever, value in intent.post)


def _notes(obj: owner.Object) -> Mapping[str, Any]:
    found: Mapping[str, Any] = obj["metadata"].get("annotations") or {}
    return found
