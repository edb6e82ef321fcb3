"""Spans of decisions, if the configuration asks for them; if not, nothing of it is imported."""

import asyncio
from collections.abc import Callable

from pydantic import ValidationError

import homeostat
from homeostat.adapters._signed import NotSentError
from homeostat.base.errors import ConfigError
from homeostat.base.events import Command, Event
from homeostat.base.units import TimeNs
from homeostat.server.plan import PartPlan
from homeostat.server.telemetry.sender import Sender
from homeostat.server.telemetry.spans import Spans

Observe = Callable[[str, Event | Command], None]
Stage = Callable[[str, TimeNs, TimeNs], None]


class Tracing:
    """Spans of one controller, or none.

    Args:
        plan: Where they are sent, None for nowhere.
        instance: Which controller sends them.

    Raises:
        ConfigError: They cannot be sent as configured.
    """

    def __init__(self, plan: PartPlan | None, instance: str) -> None:
        self.stage: Stage | None = None
        """Told of stages: `server.shell.Shell.stage`; None where nothing is sent."""
        self.counts: Callable[[], tuple[int, int, int]] | None = None
        """How many were sent, dropped and given up; None where nothing is sent."""
        self._spans: Spans | None = None
        self._task: asyncio.Task[None] | None = None
        if plan is None:
            return
        try:
            # Whoever sends no spans imports nothing of OpenTelemetry.
            from homeostat.adapters.traces.otlp import Otlp, OtlpSettings  # noqa: PLC0415
        except ImportError as error:
            raise ConfigError(
                f"spec.traces needs OpenTelemetry ({error.name} is missing); "
                "`pip install 'homeostat[otel]'` brings it"
            ) from error
        try:
            settings = OtlpSettings(**plan.settings)
            self._otlp = Otlp(settings, version=homeostat.__version__, instance=instance)
        except ValidationError as error:
            raise ConfigError(f"spec.traces: {error.errors()[0]['msg']}") from error
        except NotSentError as error:
            raise ConfigError(f"spec.traces.tokenFile: {error}") from error
        except OSError as error:
            where = plan.settings.get("ca_file")
            raise ConfigError(f"spec.traces.caFile: {where}: {error.strerror or error}") from error
        self._sender = Sender(self._otlp.send)
        self._spans = Spans(self._sender.put)
        self.stage, self.counts = self._spans.stage, self._sender.counts

    def observing(self, observe: Observe) -> Observe:
        """Return what is told of every event and command: another one first, then the spans."""
        spans = self._spans
        if spans is None:
            return observe

        def both(name: str, item: Event | Command) -> None:
            try:
                observe(name, item)
            finally:
                spans.observe(name, item)

        return both

    def start(self) -> None:
        """Begin to send, in the running event loop."""
        if self._spans is not None:
            self._task = asyncio.get_running_loop().create_task(self._sender.work())

    async def close(self) -> None:
        """Send what waits, within a short while, and end."""
        if self._spans is None:
            return
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._sender.close()
        await self._otlp.close()
