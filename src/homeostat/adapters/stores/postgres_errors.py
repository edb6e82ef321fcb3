"""What PostgreSQL's errors mean for a journal.

Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html. Messages never hold a
statement's parameters: those are the journal's contents.
"""

from typing import Final

import sqlalchemy as sa

from homeostat.adapters.stores.backend import DiskFullError
from homeostat.base.errors import BusyStoreError, CorruptStoreError, StoreError

_LOCKED: Final = frozenset({"55P03", "57014", "40P01", "40001"})
_FULL: Final = "53100"
_READ_ONLY: Final = "25006"
# A table, column or function that is not there; damaged data or index; rows beyond the head.
_DAMAGED: Final = frozenset({"42P01", "42703", "XX001", "XX002", "23505", "23502"})
_REFUSED: Final = frozenset({"28", "3D", "42"})  # classes: who one is, which database, what one may


def translate(error: Exception, seq: int, where: str, waited_s: float) -> StoreError:
    """Return the journal's error for one of the driver's.

    Args:
        error: As raised.
        seq: The entry that was being read or written.
        where: The database, without secrets.
        waited_s: How long locks are waited for, seconds.
    """
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    code = getattr(cause, "sqlstate", None)
    said = " ".join(str(cause).split())
    if code in _DAMAGED:
        return CorruptStoreError(seq, f"{where} is not a journal any more: {said}")
    if isinstance(cause, ValueError | TypeError | OverflowError):
        return CorruptStoreError(seq, f"{where} is damaged: {said}")
    if code == _FULL:
        return DiskFullError(
            f"no space for {where} ({said}); free some: until then nothing is recorded or done"
        )
    if code in _LOCKED:
        said = f"was locked for {waited_s:g} s; stop what else writes it"
        return BusyStoreError(f"{where} {said}")
    if code == _READ_ONLY:
        what = f"only reads now (a replica?): {said}"
    elif code is not None and code[:2] in _REFUSED:
        what = f"refuses ({said}); check the user, its rights and its password"
    elif isinstance(error, sa.exc.TimeoutError):
        what = f"has too many readers at once ({said})"
    elif went_away(error):
        what = f"cannot be reached ({said}); nothing is recorded or done"
    else:
        what = f"failed: {said} (code {code})"
    return StoreError(f"{where} {what}")


def went_away(error: Exception) -> bool:
    """Return whether the server or the connection ended instead of answering.

    An answer, also a refusal, settles a transaction; only silence leaves its fate open. Class 57P
    is the server saying goodbye, which it may do after the commit; class 08 the connection's.
    """
    if not isinstance(error, sa.exc.DBAPIError):
        return False
    code = getattr(error.orig, "sqlstate", None)
    silent = code is None and isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)
    return silent or error.connection_invalidated or (code or "")[:3] in {"57P", "080"}
