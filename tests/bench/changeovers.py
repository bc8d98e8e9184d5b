"""A changeover without a line: what it posts and enters is heard."""

from __future__ import annotations

import queue
from pathlib import Path
from typing import TypeVar, cast

from drivers.camera.settings import CameraSettings
from station.configuration import load as config
from station.daemon.changeover import Changeover
from station.line.acquisition.cameras import Cameras
from station.line.inspection.stage import InspectionStage
from station.line.recording.stage import Recorder
from station.line.signalling.stage import Signalling
from station.records.audit import AuditEntry

_Said = TypeVar("_Said")
STATION = '[cameras.top]\nproducer = "simtl"\n'


class Heard(queue.SimpleQueue[object]):
    """Stands for signalling, recorder, cameras and inspection: what is posted, entered and configured."""

    engine_id = ""
    """There is none."""
    drained = True
    """No part is in flight."""
    shape = (4, 4)
    """Of the frames that the camera would deliver."""
    broken: Exception | None = None
    """What the stage of the inspection raises when it gets an engine."""

    def snapshot(self) -> Heard:
        return self

    def post(self, message: object) -> None:
        self.put(message)

    def audit(self, entry: object) -> None:
        self.put(entry)

    def install(self, _inspector: object) -> None:
        if self.broken is not None:
            raise self.broken

    def __getitem__(self, _camera: str) -> Heard:
        return self

    def configure(self, settings: CameraSettings, _timeout_s: float) -> Heard:
        self.put(settings)
        return self

    def event(self, *_: object) -> None:
        return None

    def keep(self, _file: object) -> None:
        return None

    def flush(self, _timeout_s: float) -> None:
        return None

    def said(self, kind: type[_Said]) -> list[_Said]:
        """The messages and entries of this kind, in their order. What was heard is then forgotten."""
        heard = [self.get_nowait() for _ in range(self.qsize())]
        return [message for message in heard if isinstance(message, kind)]

    def refusal(self) -> str:
        """The detail of the only entry, which says that a change was refused."""
        entry = self.get(timeout=20.0)
        assert isinstance(entry, AuditEntry)
        assert entry.result == "refused"
        assert self.empty(), "nothing else has happened"
        return entry.detail


def changeover(directory: Path, heard: Heard, engine: str, *, started: bool = True) -> Changeover:
    """Of a station whose section [engine] is `engine`; its cameras stream if `started`."""
    path = directory / "station.toml"
    path.write_text(f"{STATION}[engine]\n{engine}\n")
    made = Changeover(
        config.load(path),
        "session",
        signalling=cast("Signalling", heard),
        inspection=cast("InspectionStage", heard),
        cameras=cast("Cameras", heard),
        recorder=cast("Recorder", heard),
    )
    if started:
        made.changes.started()
    return made
