"""What virtual challenges came to: one JSON file beside the records, the newest runs, replaced whole or not at all.

The daemon and `station challenge virtual` write it, each under a lock; pages read it.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from station.records.images import write_atomic

FILE = "virtual_challenges.json"
FORMAT = 1
UNLIKELY = 0.001
"""What chance does less often than that, it has not done."""
MOST = 500
"""Three weeks of one an hour."""
MAX_BYTES = 8_000_000


@dataclass(frozen=True, slots=True)
class VirtualRun:
    """One run that could be made."""

    at: float
    """Seconds since the epoch."""
    by: str
    """Who asked for it; empty: the time had come."""
    engine_id: str
    recipe: str
    pictures: int
    promised: int
    """Kinds and contrasts that the engine was taught to find."""
    shown: int
    missed: int
    is_worse: bool
    """More misses than chance explains."""
    kinds: tuple[tuple[str, int, int], ...]
    """Kind with its contrast, shown, found; most missed first."""
    of_candidate: bool = False
    """Of a version that was not active: it says nothing about the station."""

    @property
    def found_share(self) -> float | None:
        """None: nothing could be shown."""
        return 1.0 - self.missed / self.shown if self.shown else None


def read_runs(work_dir: Path) -> list[VirtualRun]:
    """Oldest first; none where there is no file. Raises ValueError, OSError: it cannot be used."""
    file = work_dir / FILE
    try:
        if file.stat().st_size > MAX_BYTES:
            raise ValueError(f'"{file}" is longer than {MAX_BYTES} bytes')
        kept = json.loads(file.read_text(encoding="utf-8"))
        if kept["format"] != FORMAT:
            raise ValueError(f'"{file}" is not of format {FORMAT}')
        return [_run(one) for one in kept["runs"]]
    except FileNotFoundError:
        return []
    except (KeyError, TypeError, RecursionError, json.JSONDecodeError) as problem:
        raise ValueError(f'"{file}" holds no virtual challenges ({type(problem).__name__}); move it away') from problem


def keep_run(work_dir: Path, run: VirtualRun) -> None:
    """Adds a run; a file that cannot be used is moved aside. Raises OSError."""
    file = work_dir / FILE
    with (work_dir / f".{FILE}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            runs: Sequence[VirtualRun] = read_runs(work_dir)
        except ValueError:
            file.replace(file.with_suffix(".broken"))
            runs = ()
        kept = [*runs, run][-MOST:]
        write_atomic(file, json.dumps({"format": FORMAT, "runs": [asdict(one) for one in kept]}).encode())


def _run(one: dict[str, Any]) -> VirtualRun:
    kinds = tuple((str(name), int(shown), int(found)) for name, shown, found in one["kinds"])
    return VirtualRun(
        float(one["at"]), str(one["by"]), str(one["engine_id"]), str(one["recipe"]), int(one["pictures"]),
        int(one["promised"]), int(one["shown"]), int(one["missed"]), one["is_worse"] is True, kinds,
        one.get("of_candidate") is True,
    )  # fmt: skip
