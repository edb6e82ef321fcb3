"""The shape of a line that feedback moved: part of `server.view_feedback`'s contract."""

from homeostat.server.api.schemas import Body


class MoveOut(Body):
    """A line that moved, and by whose words."""

    at: float
    words: str
