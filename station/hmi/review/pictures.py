"""Pictures of parts as JPEG, made once and kept for a while: for a page, its pictures, and those that it loads ahead.

A picture of 5 MP takes a tenth of a second to decode, so whoever looks at parts one after the other waits for the first
one alone: the next ones are made while he looks.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from station.records.parts import PartRow, ViewRow
from station.reports.drawing import jpeg
from station.reports.seen import Eyes, SeenView

MOST_BYTES = 32 * 1024 * 1024
"""Of all that is kept; a view has half a megabyte at most."""
KEPT_S = 900.0
"""As long as the browser keeps them: an engine that comes later brings its heat maps, and an image may go."""


@dataclass(frozen=True, slots=True)
class KeptView:
    """What there is to see of one view, see `station.reports.seen.SeenView`; pictures as JPEG."""

    row: ViewRow
    image: bytes | None
    why_no_image: str
    heated: bytes | None
    why_no_heat: str

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.image or b"") + len(self.heated or b"")


_Views: TypeAlias = tuple[KeptView, ...]


class KeptPictures:
    """Owns what is kept. Any thread asks; the same pictures are made once, whoever asks at the same time."""

    def __init__(
        self,
        eyes: Eyes,
        most_px: int,
        most_bytes: int = MOST_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`most_px`: longer side of a picture."""
        self._eyes = eyes
        self._most_px = most_px
        self._most_bytes = most_bytes
        self._clock = clock
        self._kept: OrderedDict[Any, tuple[float, _Views]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        """Of what is kept, for moments."""
        self._making = threading.Lock()
        """One part is decoded at a time: the line needs the other cores."""

    def of(self, part: PartRow) -> _Views:
        """What there is to see of every view of a part."""
        key = (part.session, part.acquisition_id, *((view.image_path, view.map_path) for view in part.views))
        if (found := self._found(key)) is not None:
            return found
        with self._making:
            if (found := self._found(key)) is not None:  # made while this thread waited
                return found
            views = tuple(map(_encoded, self._eyes.look(part, most_px=self._most_px).views))
            if not any(view.image is None and view.row.image_path is not None for view in views):  # it can be read
                self._keep(key, views)
            return views

    def _found(self, key: Any) -> _Views | None:
        with self._lock:
            if key not in self._kept:
                return None
            made_at, views = self._kept[key]
            if self._clock() - made_at > KEPT_S:
                self._forget(key)
                return None
            self._kept.move_to_end(key)
            return views

    def _keep(self, key: Any, views: _Views) -> None:
        with self._lock:
            self._kept[key] = self._clock(), views
            self._bytes += sum(view.size for view in views)
            while self._bytes > self._most_bytes:
                self._forget(next(iter(self._kept)))

    def _forget(self, key: Any) -> None:
        """Under the lock."""
        _, views = self._kept.pop(key)
        self._bytes -= sum(view.size for view in views)


def _encoded(view: SeenView) -> KeptView:
    image = None if view.image is None else jpeg(view.image)
    heated = None if view.heated is None else jpeg(view.heated)
    return KeptView(view.row, image, view.why_no_image, heated, view.why_no_heat)
