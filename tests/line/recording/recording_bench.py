"""A recorder on a folder, started and stopped, and the rows that it leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from station.line.recording.journal import PartKey
from station.line.recording.stage import Recorder, RecorderSettings
from station.records.parts import PartRow, parts
from station.records.schema import open_reader
from tests.bench.sample_parts import PartMaker

MAKE = PartMaker()


@contextmanager
def recording(
    directory: Path,
    *,
    session: str = "s1",
    on_committed: Callable[[Sequence[PartKey]], None] | None = None,
    **settings: Any,
) -> Iterator[Recorder]:
    chosen = replace(RecorderSettings(directory, pass_image_share=0.0, min_free_mb=0), **settings)
    recorder = Recorder(chosen, session, on_committed=on_committed)
    recorder.start()
    try:
        yield recorder
    finally:
        assert recorder.stop(20)


def rows(directory: Path) -> list[PartRow]:
    with closing(open_reader(directory)) as reader:
        return list(parts(reader))
