"""A cluster that is served, and an actuator that looks at it, for tests."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import kubernetes_fake as fake

from homeostat.adapters.actuators._kubernetes_object import ObjectActuator
from homeostat.base.intent import Intent, Receipt
from homeostat.base.units import SECOND, TimeNs
from homeostat.base.world import Levers, Snapshot

NOW = TimeNs(1_000 * SECOND)


class Stage:
    """One actuator's settings, and the stand-in that it is pointed at."""

    def __init__(
        self,
        cluster: fake.Cluster,
        port: int,
        folder: Path,
        build: Callable[..., ObjectActuator],
        settings: Mapping[str, Any],
    ) -> None:
        self.cluster, self._build = cluster, build
        token = folder / "token"
        token.write_text(f"{fake.TOKEN}\n", encoding="utf-8")
        self._settings = {
            "url": f"http://127.0.0.1:{port}",
            "token_file": token,
            "read_timeout_s": 20.0,
            **settings,
        }

    def actuator(self, **changes: Any) -> ObjectActuator:
        return self._build(**(self._settings | changes))

    async def read(self, **changes: Any) -> Snapshot:
        made = self.actuator(**changes)
        try:
            return await made.read("m", NOW)
        finally:
            await made.close()

    async def apply(
        self,
        post: Levers,
        *,
        intent: Mapping[str, Any] | None = None,
        look: bool = True,
        **changes: Any,
    ) -> Receipt:
        """Apply on what is there now, unless `intent` says otherwise."""
        made = self.actuator(**changes)
        try:
            base: dict[str, Any] = {"pre": (), "token": None}
            if look:
                world = await made.read("m", NOW)
                stamp = world.stamp(made.name)
                assert stamp is not None
                pre = tuple(one for one in world.levers if one[0] in dict(post))
                base = {"pre": pre, "token": stamp.token}
            base |= {
                "id": "d-2.0.0",
                "action_id": "d-2",
                "deployment": "m",
                "actuator": made.name,
                "epoch": 3,
                "stage": 0,
                "post": post,
                "evidence_at": NOW,
                "deadline": TimeNs(NOW + 20 * SECOND),
            }
            return await made.apply(Intent(**(base | dict(intent or {}))), NOW)
        finally:
            await made.close()

    def found(self, path: str) -> dict[str, Any]:
        obj = self.cluster.find(path)
        assert obj is not None
        return obj
