"""Parts decided again from their stored images: scored once by the engine, measured under both configurations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from drivers.camera.images import read_image
from drivers.camera.protocol import CameraUnreadable
from engines.engine import Prepared
from engines.errors import PartNotLocated
from station.configuration.load import LoadedConfiguration
from station.jobs.what_if.figures import NoEngine, Note, Replayed
from station.line.inspection.inspector import Inspector
from station.line.inspection.joining import join
from station.line.inspection.loading import load_inspector
from station.records.images import heights_beside
from station.records.parts import PartRow
from station.results import Frame, Inspection, Scores, Verdict


@dataclass
class _Once:
    """Scores what it is given once, and gives the same again to the second configuration."""

    inspector: Inspector
    last: Sequence[Scores | PartNotLocated] = ()

    def prepare(self, pixels: object, /) -> Prepared:
        return self.inspector.scorer.prepare(pixels)  # type: ignore[arg-type]  # pixels, as they came

    def score(self, prepared: Sequence[Prepared], /) -> Sequence[Scores | PartNotLocated]:
        self.last = self.inspector.scorer.score(prepared)
        return self.last

    def close(self) -> None:
        self.inspector.scorer.close()


@dataclass
class _Again:
    """What the other one has scored."""

    once: _Once

    def prepare(self, _pixels: object, /) -> Prepared:
        return None  # type: ignore[return-value]  # nobody looks at it

    def score(self, _prepared: Sequence[Prepared], /) -> Sequence[Scores | PartNotLocated]:
        return self.once.last

    def close(self) -> None:
        return None


def replay_images(
    before: LoadedConfiguration,
    after: LoadedConfiguration,
    parts: Sequence[PartRow],
    *,
    weights: Callable[[PartRow], float],
    notes: Counter[Note],
    on_step: Callable[[int, int], None],
) -> list[Replayed]:
    """Parts all of whose images are there. Raises EngineError, LimitsError, NoEngine."""
    with ExitStack() as opened:
        first = _inspector(before)
        opened.callback(first.scorer.close)
        second = _inspector(after)
        second.scorer.close()
        once = _Once(first)
        now, then = replace(first, scorer=once), replace(second, scorer=_Again(once))
        done = []
        for number, part in enumerate(parts, start=1):
            frames = _frames(before.records_dir, part)
            if frames is None:
                notes["without image"] += 1
            else:
                views = [_judged(each, frames) for each in (now, then)]
                was, would = (join(each, one.joining).verdict for each, one in zip(views, (now, then), strict=True))
                done.append(Replayed(part, was, would, weights(part)))
            on_step(number, len(parts))
        return done


def _inspector(configuration: LoadedConfiguration) -> Inspector:
    found = load_inspector(configuration.engine_path, configuration.settings, {}, threads=1)
    if found is None:
        raise NoEngine(f"engine {configuration.engine_path} is not there: teach one, or station engine list")
    return found


def _judged(inspector: Inspector, frames: Sequence[Frame]) -> list[Inspection]:
    return inspector.inspect([inspector.begin(frame) for frame in frames])


def _frames(records: Path, part: PartRow) -> list[Frame] | None:
    """None: a view has no image any more, or the part was not inspected."""
    if not part.views or part.verdict == Verdict.ERROR.name:
        return None
    frames = []
    for view in part.views:
        file = (records / (view.image_path or "")).resolve()
        if view.image_path is None or not file.is_relative_to(records.resolve()):
            return None
        try:
            frames.append(Frame(view.camera, view.frame_id, read_image(file), 0, 0, heights_beside(file)))
        except CameraUnreadable:
            return None
    return frames
