"""What a controller has to do with others besides its deployments: screens, alerts, answers.

The one place where they are put together. None of it is part of the loop: it is told what was
journaled, after it was journaled, and what comes in by it is an answer of a person or is shown.
"""

import asyncio
from collections.abc import Callable, Sequence

from homeostat.adapters.notify.slack import Slack
from homeostat.base.bulletin import Showing
from homeostat.base.errors import ConfigError
from homeostat.base.events import Command, Event
from homeostat.base.ports import Journal, Notifier
from homeostat.server.api.doors import Clicks, Doors
from homeostat.server.board import Board
from homeostat.server.heard import Alert, Heard, noting
from homeostat.server.plan import ControllerPlan, SlackPlan
from homeostat.server.runtime import Runtime
from homeostat.server.showing import Screen

Observe = Callable[[str, Event | Command], None]


class Outside:
    """All of it, of one controller.

    Args:
        plan: What was configured.
        told: All notifiers.
    """

    def __init__(self, plan: ControllerPlan, told: Sequence[Notifier]) -> None:
        self.board = Board()
        self.notifiers = tuple(one for one in told if not isinstance(one, Showing))
        self._showing = tuple(one for one in told if isinstance(one, Showing))
        self._all, self._plan = tuple(told), plan
        self._screens: tuple[Screen, ...] = ()

    def observing(self, observe: Observe) -> Observe:
        """Return an observer that also tells the board; without a screen nothing is kept."""
        if not self._showing:
            return observe

        def both(deployment: str, item: Event | Command) -> None:
            observe(deployment, item)
            self.board.observe(deployment, item)

        return both

    def doors(self, journal: Journal, runtime: Runtime) -> Doors:
        """Return the ways in.

        Args:
            journal: Where it is noted what was heard.
            runtime: Whose clock and end it is.
        """
        alerts = self._plan.alerts
        heard = Heard(
            alerts.label if alerts is not None else "deployment",
            on_news=self._heard,
            note=noting(journal, runtime.clock.now, runtime.end),
        )
        return Doors(
            heard=heard,
            alerts_token_file=None if alerts is None else alerts.token_file,
            clicks=None if self._plan.slack is None else self._clicks(self._plan.slack),
        )

    async def keep(self, runtime: Runtime) -> None:
        """Keep all screens at what stands, until cancelled."""
        self.board.adopt(runtime.states)
        states, pulse = runtime.states.get, runtime.shell.pulse

        def told(showing: Showing) -> Callable[[bool], None]:
            return lambda well: pulse.told(type(showing).__name__, well=well)

        self._screens = tuple(
            Screen(one, self.board, states, told=told(one)) for one in self._showing
        )
        await asyncio.gather(*(one.keep() for one in self._screens))

    async def catch_up(self) -> None:
        """Bring every screen up to date once more."""
        for one in self._screens:
            await one.catch_up()

    async def close(self) -> None:
        """Release the screens' connections; the runtime closes those who are told each notice."""
        for one in self._all:
            if one not in self.notifiers:
                await one.close()

    def _heard(self, alert: Alert) -> None:
        if alert.deployment:
            self.board.heard(alert.deployment, alert.words, alert.heard_at)

    def _clicks(self, plan: SlackPlan) -> Clicks:
        there = (one for one in self._showing if isinstance(one, Slack))
        slack = next((one for one in there if one.channel == plan.channel), None)
        if slack is None:
            raise ConfigError(
                f"answers are taken from {plan.channel}, and nothing is written there"
            )
        return Clicks(
            secret_file=plan.secret_file,
            team=plan.team,
            channel=plan.channel,
            people=dict(plan.people),
            whisper=slack.whisper,
        )
