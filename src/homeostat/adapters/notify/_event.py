"""One notice as a signed CloudEvent: the bytes that a webhook sends.

CloudEvents 1.0, structured JSON mode (github.com/cloudevents/spec, v1.0.2).
"""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any, Final

from homeostat.base.decisions import Notice
from homeostat.base.units import SECOND

TYPE: Final = "dev.homeostat.decision.v1"


def event(notice: Notice) -> tuple[str, bytes]:
    """Return a notice's id and its CloudEvent; the same notice gives the same bytes."""
    data: dict[str, Any] = {
        "key": notice.key,
        "deployment": notice.deployment,
        "urgency": notice.urgency.value,
        "title": notice.title,
        "lines": list(notice.lines),
    }
    content = json.dumps([notice.at, data], sort_keys=True).encode()
    event_id = hashlib.sha256(content).hexdigest()[:32]
    said = {
        "specversion": "1.0",
        "type": TYPE,
        "source": f"/homeostat/deployments/{notice.deployment}",
        "id": event_id,
        "subject": notice.key,
        "time": datetime.fromtimestamp(notice.at / SECOND, UTC).isoformat(),
        "datacontenttype": "application/json",
        "data": data,
    }
    return event_id, json.dumps(said, sort_keys=True, ensure_ascii=False).encode()
