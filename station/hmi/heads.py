"""The heads of the two audit chains, kept where the other one's owner cannot change them.

The daemon's head goes into the trail of accounts, which belongs to another user; the head of that trail into the log of
the pages. So who takes over one of the two users makes no chain anew that the other one fits.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import structlog

from station.access import audit_chain
from station.access.accounts_schema import AccountError, change, opened
from station.records.anchors.kept import head_of_records
from station.records.audit import ACCOUNTS, Head, head_of

log = structlog.get_logger()


class Heads:
    """Owns what was kept last. One thread calls `keep`."""

    def __init__(self, records: Path, accounts: Path) -> None:
        """`records`: their folder. `accounts`: that of `hmi.db`."""
        self._records = records
        self._accounts = accounts
        self._logged: Head | None = None

    def keep(self) -> None:
        """Keeps both heads where they are others than the last time; waits where one cannot be read now."""
        try:
            head = head_of_records(self._records)
            with opened(self._accounts) as connection:
                if head is not None and self._last(connection) != str(head):
                    with change(connection):
                        audit_chain.append(
                            connection, time.time(), "station", audit_chain.ANCHOR, str(head), via="station"
                        )
                own = head_of(connection, ACCOUNTS)
        except (AccountError, sqlite3.Error) as problem:
            log.debug("the heads of the audit chains wait", problem=str(problem))
            return
        if own is not None and own != self._logged:
            self._logged = own
            log.info("audit head", head=str(own))

    def _last(self, connection: sqlite3.Connection) -> str:
        row = connection.execute(
            "SELECT object FROM audit WHERE action = ? ORDER BY seq DESC LIMIT 1", (audit_chain.ANCHOR,)
        ).fetchone()
        return "" if row is None else str(row[0])
