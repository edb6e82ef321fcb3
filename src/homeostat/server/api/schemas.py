"""What a request may hold, and the short answers to changes. Unknown keys are errors."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr

DEPLOYMENT_PATTERN = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
DECISION_PATTERN = r"^d-[0-9]{1,12}$"
_PLAIN_TEXT = r"^[^\x00-\x1f\x7f]*$"

Name = Annotated[str, Field(pattern=DEPLOYMENT_PATTERN, max_length=63)]
Person = Annotated[str, Field(pattern=r"^[\w .@+-]{1,64}$", description="Who does this.")]
WHO_SAYS = "Who does this, for the shared token; a token of one's own says it by itself."
Why = Annotated[str, Field(pattern=_PLAIN_TEXT, max_length=500, description="For the record.")]


Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Body(BaseModel):
    """What all bodies share: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid")


class AnswerBody(Body):
    """An answer to a question, or a wish to undo."""

    deployment: Name | None = Field(None, description="Needed when two deployments use the id.")
    by: Person | None = Field(None, description=WHO_SAYS)
    why: Why = ""


class ApproveBody(AnswerBody):
    """A yes, bound to what was asked: of that very action, on that very evidence."""

    action_hash: Digest | None = Field(None, description="As the question says; its own if left.")
    evidence_hash: Digest | None = Field(None, description="The same.")


class ModeBody(Body):
    """A new autonomy mode."""

    mode: Literal["shadow", "approve", "auto"]
    by: Person | None = Field(None, description=WHO_SAYS)
    why: Why = ""


class WishBody(Body):
    """Who wants something, and why."""

    by: Person | None = Field(None, description=WHO_SAYS)
    why: Why = ""


class FreezeBody(Body):
    """A new level of the kill switch."""

    level: Literal["off", "no_new", "nothing"]
    by: Person | None = Field(None, description=WHO_SAYS)
    why: Why = ""


class LabelBody(Body):
    """What turned out to be true for one prediction."""

    prediction_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:/-]{1,128}$")]
    label: StrictBool | StrictInt | StrictFloat | Annotated[StrictStr, Field(max_length=128)]
    deployment: Name | None = None
    observed_at: Annotated[float, Field(ge=0, le=1e11, allow_inf_nan=False)] | None = Field(
        None, description="When it became known, seconds since the epoch; now by default."
    )


class LabelsBody(Body):
    """A batch of labels."""

    labels: Annotated[list[LabelBody], Field(max_length=10_000)]


class MeOut(Body):
    """Whose token it is."""

    name: str
    role: Literal["viewer", "operator", "approver", "admin"]
    named: bool = Field(description="False for the shared token.")


class Accepted(Body):
    """The change was journaled; watch the event stream for what comes of it."""

    accepted: Literal[True] = True
    note: str = Field(default="", description="What else there is to know: one more must, say.")
    cursor: str = Field(description="Follow `/v1/events?after=CURSOR` to see it happen.")


class Frozen(Body):
    """The kill switch's level."""

    level: Literal["off", "no_new", "nothing"]


class Joined(Body):
    """What became of a batch of labels."""

    counts: dict[str, int]
