"""`spec.notify` and `spec.alerts`: who is told, by what, who may answer there, and who may tell us.

Secrets have no place here: each is in a file of its own, named by a key that ends in File.
"""

from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import Field, field_validator, model_validator

from homeostat.adapters.notify._alert_labels import LABEL, OWN_LABELS
from homeostat.base.decisions import Urgency
from homeostat.base.units import SECOND
from homeostat.server.config.guardrails import Strict
from homeostat.server.config.targets import Url
from homeostat.server.config.units import Duration
from homeostat.server.people import NAME, SHARED
from homeostat.server.plan import AlertsPlan, PartPlan, SlackPlan

File = Annotated[str, Field(min_length=1, max_length=4096)]
Hosts = Annotated[
    tuple[Annotated[str, Field(pattern=r"^[^\s/@]{1,260}:[0-9]{1,5}$")], ...],
    Field(
        max_length=20,
        description="HOST:PORT that may be private, without TLS or on another port.",
    ),
]
Least = Annotated[Urgency, Field(description="Nothing less urgent: info, ask or page.")]
_USER: Final = r"^[UW][A-Z0-9]{1,39}$"
_HOUR: Final = 3600 * SECOND


class WebhookSpec(Strict):
    """A notifier that posts each notice as a signed CloudEvent."""

    url: Url
    secret_file: File = Field(description="Holds the signing secret, at least 16 bytes.")
    allow: Hosts = ()
    least: Least = Urgency.ASK


class AlertmanagerSpec(Strict):
    """Alerts in an Alertmanager, one set of labels an incident."""

    url: Url = Field(description="Where it is; /api/v2/alerts is added.")
    allow: Hosts = ()
    token_file: File | None = Field(default=None, description="Holds a bearer token.")
    user: str | None = Field(default=None, min_length=1, max_length=200, pattern=r"^[^:\s]+$")
    password_file: File | None = Field(default=None, description="Holds the user's password.")
    labels: dict[Annotated[str, Field(pattern=LABEL)], Annotated[str, Field(max_length=200)]] = (
        Field(default_factory=dict, max_length=20, description="More labels, for routing.")
    )
    console: Url | None = Field(default=None, description="The console's address, for links.")
    least: Least = Urgency.ASK
    again: Duration = Field(
        default=60 * SECOND, ge=SECOND, le=_HOUR, description="What is open is sent again."
    )

    @field_validator("labels")
    @classmethod
    def _not_ours(cls, labels: dict[str, str]) -> dict[str, str]:
        for name, value in labels.items():
            if name in OWN_LABELS or not value:
                taken = ", ".join(sorted(OWN_LABELS))
                raise ValueError(f"labels: {name!r} is one of ours ({taken}) or has no value")
        return labels

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and passwordFile belong together; write both or neither")
        if self.user is not None and self.token_file is not None:
            raise ValueError("says both tokenFile and user; keep one")
        return self


class AnswersSpec(Strict):
    """Answers by buttons, and who gives them."""

    signing_secret_file: File = Field(description="Holds the app's signing secret.")
    team: str = Field(pattern=r"^[TE][A-Z0-9]{1,39}$", description="The workspace's id, T0123.")
    people: dict[Annotated[str, Field(pattern=_USER)], str] = Field(
        min_length=1,
        max_length=500,
        description="Slack's id of somebody to their name in `homeostat people`.",
    )

    @field_validator("people")
    @classmethod
    def _names(cls, people: dict[str, str]) -> dict[str, str]:
        for user, name in people.items():
            if NAME.fullmatch(name) is None or name == SHARED:
                raise ValueError(f"people: {user}: {name!r} is no name of `homeostat people`")
        if len(set(people.values())) != len(people):
            raise ValueError("people: two ids have one name; two people must not be one")
        return people


class SlackSpec(Strict):
    """One message an incident in a channel of Slack."""

    channel: str = Field(pattern=r"^[CG][A-Z0-9]{1,39}$", description="The channel's id, C0123.")
    bot_token_file: File = Field(description="Holds the bot's token, xoxb-...")
    answers: AnswersSpec | None = Field(default=None, description="Without it: no buttons.")
    console: Url | None = Field(default=None, description="The console's address, for links.")
    least: Least = Urgency.INFO
    per_day: int = Field(default=100, ge=1, le=10_000, strict=True, description="Pages apart.")
    api: Url = Field(default="https://slack.com/api", description="For GovSlack, or a proxy.")
    allow: Hosts = ()


class NotifySpec(Strict):
    """One way to tell people."""

    terminal: bool | None = Field(default=None, strict=True)
    webhook: WebhookSpec | None = None
    alertmanager: AlertmanagerSpec | None = None
    slack: SlackSpec | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        said = (self.webhook, self.alertmanager, self.slack)
        if (self.terminal is True) + sum(one is not None for one in said) != 1:
            raise ValueError(
                "says either terminal: true, webhook: {...}, alertmanager: {...} or slack: {...}"
            )
        return self


class AlertsSpec(Strict):
    """Alerts of others, taken at POST /v1/alerts; they are shown and are no reason to act."""

    token_file: File = Field(
        description="Holds the token that lets them in, at least 16 bytes; it opens nothing else."
    )
    label: str = Field(
        default="deployment", pattern=LABEL, description="The label that names a deployment."
    )


def parts(notify: tuple[NotifySpec, ...], base: Path, state: Path) -> tuple[PartPlan, ...]:
    """Return the notifiers, without the terminal.

    Args:
        notify: What the file says.
        base: Folder that relative paths start from.
        state: Folder in which it is kept which Slack message is whose.
    """
    found = [one for each in notify if (one := _part(each, base, state)) is not None]
    return tuple(found)


def _part(said: NotifySpec, base: Path, state: Path) -> PartPlan | None:
    if said.webhook is not None:
        hook = said.webhook
        settings: dict[str, Any] = {
            "url": hook.url,
            "secret_file": base / hook.secret_file,
            "allow": hook.allow,
            "least": hook.least,
        }
        return PartPlan(part="webhook", settings=settings)
    if said.alertmanager is not None:
        return PartPlan(part="alertmanager", settings=_alertmanager(said.alertmanager, base))
    if said.slack is not None:
        return PartPlan(part="slack", settings=_slack(said.slack, base, state))
    return None


def _alertmanager(said: AlertmanagerSpec, base: Path) -> dict[str, Any]:
    return {
        "url": said.url,
        "allow": said.allow,
        "token_file": _file(said.token_file, base),
        "user": said.user,
        "password_file": _file(said.password_file, base),
        "labels": said.labels,
        "console": said.console or "",
        "least": said.least,
        "again_s": said.again / SECOND,
    }


def _slack(said: SlackSpec, base: Path, state: Path) -> dict[str, Any]:
    return {
        "channel": said.channel,
        "bot_token_file": base / said.bot_token_file,
        "kept_file": state / f"slack-{said.channel}.json",
        "buttons": said.answers is not None,
        "console": said.console or "",
        "least": said.least,
        "per_day": said.per_day,
        "api": said.api,
        "allow": said.allow,
    }


def _file(name: str | None, base: Path) -> Path | None:
    return None if name is None else base / name


def answers(notify: tuple[NotifySpec, ...], base: Path) -> SlackPlan | None:
    """Return how answers come in from Slack, None where they do not.

    Raises:
        ValueError: Two channels take answers; there is one request URL for them.
    """
    found = [one.slack for one in notify if one.slack is not None and one.slack.answers is not None]
    if len(found) > 1:
        raise ValueError(
            f"notify: {len(found)} slack entries have answers; keep them in one, for the app "
            "has one request URL"
        )
    for one in found:
        if one.answers is not None:
            return SlackPlan(
                secret_file=base / one.answers.signing_secret_file,
                team=one.answers.team,
                channel=one.channel,
                people=tuple(sorted(one.answers.people.items())),
            )
    return None


def alerts(said: AlertsSpec | None, base: Path) -> AlertsPlan | None:
    """Return how alerts of others come in, None where they do not."""
    if said is None:
        return None
    return AlertsPlan(token_file=base / said.token_file, label=said.label)
