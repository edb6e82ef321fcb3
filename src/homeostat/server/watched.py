"""What a journal says of each deployment, as a report needs it: ticks, incidents, decisions."""

import re
from typing import Final

from homeostat.base import codec
from homeostat.base.decisions import DecisionRecord
from homeostat.base.events import Reconfigured, Record, Started, Ticked
from homeostat.base.evidence import Incident
from homeostat.base.ports import Entry, Journal
from homeostat.base.units import TimeNs
from homeostat.report.shadow import Tick, Watch

_TICKED: Final = b'"$":"Ticked"'
_CONFIGURED: Final = (b'"$":"Started"', b'"$":"Reconfigured"')
_RECORD: Final = b'"$":"Record"'
# A week of ticks is read for two words each: decoding all of them would take minutes.
_MET: Final = re.compile(rb'"slo_met":(true|false|null)')
_READY: Final = re.compile(rb'"ready":(true|false)')
_WORDS: Final = {b"true": True, b"false": False, b"null": None}


def watched(journal: Journal, since: TimeNs) -> list[Watch]:
    """Return each deployment of a journal over the time since.

    Args:
        journal: Opened for reading.
        since: Ticks and incidents before it are left out; one that lasts is not.

    Raises:
        CorruptStoreError: An entry does not verify.
    """
    found: dict[str, Watch] = {}
    for entry in journal.read(kinds=("event", "command")):
        if entry.kind == "event":
            _event(found, entry, since)
        elif _RECORD in entry.body and entry.deployment in found:
            _record(found[entry.deployment], entry)
    for watch in found.values():
        watch.troubles = {
            name: one
            for name, one in watch.troubles.items()
            if one.closed_at is None or one.closed_at >= since
        }
    return list(found.values())


def _event(found: dict[str, Watch], entry: Entry, since: TimeNs) -> None:
    if _TICKED in entry.body:
        watch = found.get(entry.deployment)
        if watch is not None and entry.at >= since:
            watch.tick(_tick(entry))
    elif any(word in entry.body for word in _CONFIGURED):
        event = codec.decode(entry.body)
        if isinstance(event, Started | Reconfigured):
            name = event.managed.name
            if name in found:
                found[name].managed = event.managed
            else:
                found[name] = Watch(event.managed)


def _tick(entry: Entry) -> Tick:
    met, ready = _MET.findall(entry.body), _READY.findall(entry.body)
    if len(met) == 1 and len(ready) == 1:
        return Tick(at=entry.at, met=_WORDS[met[0]], ready=ready[0] == b"true")
    event = codec.decode(entry.body)
    if not isinstance(event, Ticked):
        return Tick(at=entry.at, met=None, ready=False)
    return Tick(at=entry.at, met=event.evidence.slo_met, ready=event.evidence.ready)


def _record(watch: Watch, entry: Entry) -> None:
    command = codec.decode(entry.body)
    if not isinstance(command, Record):
        return
    if isinstance(command.fact, Incident):
        watch.incident(command.fact, entry.at, is_open=command.open)
    elif isinstance(command.fact, DecisionRecord):
        watch.decision(command.fact)
