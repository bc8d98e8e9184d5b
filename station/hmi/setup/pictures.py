"""The last picture of each camera, from the live memory. The line never notices: it leaves what it leaves for Live."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from station.live.reading import LiveReader, NoLiveMemory, Publication, split_part
from station.live.trial_picture import FILE

FIRST_S = 0.5
"""Pictures are made only while somebody looks: whoever begins to look waits this long for the first one."""
STEP_S = 0.05
SILENT_S = 3.0
"""A beat that is older is that of a station that stands still, or was killed."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What one camera saw of the last part."""

    key: str
    """Another picture has another one."""
    part: Mapping[str, Any]
    """As `station.live.part_message` writes it."""
    view: Mapping[str, Any]
    jpeg: bytes
    """Empty: `view["why_no_picture"]` says why."""
    age_s: float
    """Since its part had its result."""

    @property
    def is_test(self) -> bool:
        """Of a trigger test: it shows no part."""
        return not self.part["session"]

    @property
    def figures(self) -> Mapping[str, Any] | None:
        """None: not known, from a station of another version."""
        found: Mapping[str, Any] | None = self.view.get("figures")
        return found


class Pictures:
    """Owns the look at the live memory. Any thread may ask."""

    def __init__(self, runtime_dir: Path) -> None:
        self._reader = LiveReader(runtime_dir)
        self._folder = runtime_dir
        self._lock = threading.Lock()
        self._last: Publication | None = None

    def of(self, camera: str) -> Picture | None:
        """The newest picture of a camera; None: no part was seen yet, or not by this camera. Raises NoLiveMemory."""
        with self._lock:
            end = time.monotonic() + FIRST_S
            while True:
                self._reader.watch()
                self._last = self._newest()
                if self._last is not None or (self._folder / FILE).exists() or time.monotonic() > end:
                    break
                time.sleep(STEP_S)
            last = self._last
        test = self._test_picture()
        if last is None and test is None:
            return None
        try:
            key, (part, blobs) = "", ({}, []) if last is None else split_part(last.payload)
            if last is not None:
                key = f"{last.start_id}:{last.number}"
            if test is not None and (not part or test[0]["signalled_ns"] > part["signalled_ns"]):
                part, blobs = test
                key = f"test:{part['signalled_ns']}"
        except ValueError as problem:
            raise NoLiveMemory(str(problem)) from problem
        age_s = max(0.0, (time.monotonic_ns() - part["signalled_ns"]) / 1e9)
        for number, view in enumerate(part["views"]):
            if view["camera"] == camera:
                return Picture(key, part, view, blobs[2 * number], age_s)
        return None

    def _test_picture(self) -> tuple[dict[str, Any], list[bytes]] | None:
        """Of the last trigger test; None: there was none, or its file cannot be read."""
        try:
            data = (self._folder / FILE).read_bytes()
            part, blobs = split_part(data)
        except (OSError, ValueError):
            return None
        return (part, blobs) if time.monotonic_ns() - part["signalled_ns"] >= 0 else None

    def _newest(self) -> Publication | None:
        """The newest publication of this start; the one that is known when there is no newer one."""
        if self._reader.beat_age_s() > SILENT_S:
            raise NoLiveMemory("the station does not answer")
        found = self._reader.part(self._last)
        if found is not None or self._last is None:
            return found
        return self._last if self._reader.start_id == self._last.start_id else None
