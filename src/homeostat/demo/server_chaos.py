"""Faults of one model-server process, switched on from outside; they end with the process.

They are real: the device sleep gets longer, and memory is allocated, written to and kept. Nothing
of this is visible in the metrics except through its effects.
"""

import asyncio
import hmac
from typing import Any, Final

_STEP_S: Final = 0.1
_MB: Final = 1_000_000
_LEAK_MAX: Final = 1_000.0  # MB/s; above that the machine suffers, not the process
_SLOW_MAX: Final = 1_000.0


class Chaos:
    """What is broken in this process."""

    def __init__(self, token: str) -> None:
        """Take the token that an order must show; an empty one means that nobody can order."""
        self._token = token.encode()
        self.device_slowdown = 1.0
        self.leak_mb_per_s = 0.0
        self._leaked: list[bytearray] = []

    def permits(self, shown: bytes) -> bool:
        """Return whether the order comes from the one who may break things."""
        return bool(self._token) and hmac.compare_digest(self._token, shown)

    def order(self, body: dict[str, Any]) -> dict[str, float]:
        """Change what is broken, and return what now is.

        Memory that has leaked stays leaked when the leak is switched off.

        Raises:
            ValueError: An unknown key, or a number out of range; nothing changed.
        """
        unknown = set(body) - {"device_slowdown", "leak_mb_per_s", "off"}
        if unknown:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        off = body.get("off") is True
        slow = 1.0 if off else self.device_slowdown
        leak = 0.0 if off else self.leak_mb_per_s
        slow = _number(body, "device_slowdown", slow, _SLOW_MAX)
        leak = _number(body, "leak_mb_per_s", leak, _LEAK_MAX)
        self.device_slowdown, self.leak_mb_per_s = slow, leak
        return {"device_slowdown": slow, "leak_mb_per_s": leak, "leaked_mb": self.leaked_mb}

    @property
    def leaked_mb(self) -> float:
        """How much has leaked so far, in MB."""
        return sum(map(len, self._leaked)) / _MB

    async def leak(self) -> None:
        """Leak for ever, a tenth of a second's worth at a time; cancelled with the server."""
        while True:
            await asyncio.sleep(_STEP_S)
            size = round(self.leak_mb_per_s * _MB * _STEP_S)
            if size:
                # Written to, so that the pages become resident; zeroes would stay promises.
                self._leaked.append(bytearray(b"\x5a") * size)


def _number(body: dict[str, Any], name: str, current: float, limit: float) -> float:
    value = body.get(name, current)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} must be a number, got {value!r}")  # noqa: TRY004 - of the body
    if not 0.0 <= value <= limit:  # NaN is in no range
        raise ValueError(f"{name} must be in 0..{limit:g}, got {value!r:.40}")
    return float(value)
