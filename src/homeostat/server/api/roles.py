"""The least role for every route, as data: what is not in the table only an admin may try.

Reading is open to whoever reaches the port until the first person is added; then it needs a viewer.
Changes need a token always; machines that have a way in of their own are in `doors`. The pages
themselves hold nothing: a browser sends no token when it opens one, so they are open, and stay
empty until the script in them reads with a token.
"""

import re
from collections.abc import Mapping
from typing import Final

from starlette.routing import compile_path

from homeostat.server.people import Role

OPEN: Final = None
"""For everybody, always: pages without data, style sheets, scripts."""

ROUTES: Final[Mapping[str, Role | None]] = {
    "GET /": OPEN,
    "GET /approvals": OPEN,
    "GET /audit": OPEN,
    "GET /d/{name}": OPEN,
    "GET /d/{name}/{decision_id}": OPEN,
    "GET /favicon.ico": OPEN,
    "GET /policy": OPEN,
    "GET /static/{path:path}": OPEN,
    "GET /metrics": Role.VIEWER,
    "GET /openapi.json": Role.VIEWER,
    "GET /v1/actions": Role.VIEWER,
    "GET /v1/alerts": Role.VIEWER,
    "GET /v1/audit": Role.VIEWER,
    "GET /v1/autonomy": Role.VIEWER,
    "GET /v1/decisions": Role.VIEWER,
    "GET /v1/decisions/{decision_id}": Role.VIEWER,
    "GET /v1/deployments": Role.VIEWER,
    "GET /v1/deployments/{name}": Role.VIEWER,
    "GET /v1/deployments/{name}/feedback": Role.VIEWER,
    "GET /v1/deployments/{name}/lineage": Role.VIEWER,
    "GET /v1/deployments/{name}/series": Role.VIEWER,
    "GET /v1/events": Role.VIEWER,
    "GET /v1/health": Role.VIEWER,
    "GET /v1/incidents": Role.VIEWER,
    "GET /v1/me": Role.VIEWER,
    "GET /v1/policies": Role.VIEWER,
    "GET /v1/shared": Role.VIEWER,
    "POST /v1/alerts": Role.ADMIN,  # and whoever holds the token of spec.alerts, see doors
    "POST /v1/decisions/{decision_id}/approve": Role.APPROVER,
    "POST /v1/decisions/{decision_id}/reject": Role.APPROVER,
    "POST /v1/decisions/{decision_id}/undo": Role.OPERATOR,
    "POST /v1/deployments/{name}/canary": Role.OPERATOR,
    "POST /v1/deployments/{name}/autonomy": Role.OPERATOR,  # to grant: an admin, see ladder
    "POST /v1/deployments/{name}/confirm": Role.OPERATOR,
    "POST /v1/deployments/{name}/feedback/reset": Role.APPROVER,
    "POST /v1/deployments/{name}/normal": Role.APPROVER,
    "POST /v1/deployments/{name}/mode": Role.OPERATOR,  # more autonomy: an approver, see changes
    "POST /v1/freeze": Role.OPERATOR,  # to lift it: an approver, see changes
    "POST /v1/judge": Role.VIEWER,
    "POST /v1/labels": Role.OPERATOR,
}

ALWAYS: Final = frozenset({"GET /v1/me"})
"""Reads that need a token though reading is open: they are about the token."""

_PATTERNS: Final[tuple[tuple[str, re.Pattern[str], str], ...]] = tuple(
    (route.partition(" ")[0], compile_path(route.partition(" ")[2])[0], route) for route in ROUTES
)


def route_of(method: str, path: str) -> str | None:
    """Return the entry of the table that a request is for, None if there is none.

    >>> route_of("HEAD", "/d/credit")
    'GET /d/{name}'
    """
    wanted = "GET" if method == "HEAD" else method
    return next(
        (route for verb, pattern, route in _PATTERNS if verb == wanted and pattern.match(path)),
        None,
    )


def least(method: str, path: str) -> Role | None:
    """Return the least role for a request; None for everybody."""
    route = route_of(method, path)
    if route is not None:
        return ROUTES[route]
    return Role.VIEWER if method in {"GET", "HEAD"} else Role.ADMIN
