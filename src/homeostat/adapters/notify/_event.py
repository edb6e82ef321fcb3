"""One notice as a signed CloudEvent: the bytes that a webhook sends.

CloudEvents 1.0, structured JSON mode (github.com/cloudevents/spec, v1.0.2).
"""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any, Final

from homeostat.base.decisions import Notice
from homeostat.base.units import SECOND

TYPE: Final = "dev.homeostat.decision.v1"


def sign(secret: bytes, timestamp: str, body: bytes) -> str:
    """Return the signature header: `v1=` and the HMAC-SHA256 of `timestamp.body`, hex.

    >>> sign(b"k" * 16, "1", b"{}")[:11]
    'v1=f1769982'
    """
    digest = hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256)
    return f"v1={digest.hexdigest()}"


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
