"""What the one writer of the records executes. The module of each table makes the statements for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Statement:
    """One change of one row, and the rows that hang on it."""

    sql: str
    values: Mapping[str, Any]
    part: tuple[str, int] | None = None
    """(session, acquisition_id) of the part that is on record once this is committed."""
    dependent: tuple[Statement, ...] = ()
    """Executed after this one; not at all when the database refuses it."""
