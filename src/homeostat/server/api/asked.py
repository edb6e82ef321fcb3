"""The shape of an open question in an answer: the contract of `server.view_question`."""

from pydantic import Field

from homeostat.server.api.schemas import Body


class SeenOut(Body):
    """One thing that a question rests on."""

    name: str
    words: str


class QuestionOut(Body):
    """What a yes is bound to."""

    action_hash: str
    evidence_hash: str
    seen: list[SeenOut]
    changed: list[str] = Field(description="What is not so any more; not empty: it is asked again.")
    needed: int = Field(description="How many people must agree.")
    agreed: list[str] = Field(description="Who has, so far.")
    requested_by: str = Field(description="Who wants it and so may not approve; empty: nobody.")
