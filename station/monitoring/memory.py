"""What the watch keeps over restarts: one JSON file in the work folder, replaced whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from station.records.images import write_atomic

FILE = "monitoring.json"
FORMAT = 1
MAX_BYTES = 16_000_000


def read(file: Path) -> dict[str, Any]:
    """What was kept; empty where there is no file. Raises ValueError, OSError: it cannot be used."""
    try:
        if file.stat().st_size > MAX_BYTES:
            raise ValueError(f"longer than {MAX_BYTES} bytes")
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT or not isinstance(found.get("watches"), dict):
        raise ValueError(f"not of format {FORMAT}")
    return found


def write(file: Path, watches: Mapping[str, Any], alarms: Mapping[str, Any], label_id: int | None = None) -> None:
    """Raises OSError."""
    kept = {"format": FORMAT, "watches": watches, "alarms": alarms, "label_id": label_id}
    write_atomic(file, json.dumps(kept).encode())
