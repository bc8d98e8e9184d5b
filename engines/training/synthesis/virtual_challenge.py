"""A virtual challenge: synthetic defects in recent good pictures, of the size that the engine was taught to find.

    python -m engines.training.synthesis.virtual_challenge ENGINE SEED IMAGE...

Every kind and contrast that the engine finds 9 times of 10 from some size on is drawn in that size, as sharp as the
picture itself: a lens out of focus blurs defects as it blurs parts. So fewer are found than when the engine was taught
where the station sees less, whatever master parts with large defects say. It does not test lamp or camera by itself:
pictures unlike those taught are no good parts. Progress and result are lines of JSON on standard output.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.bundle.detection import Detectability
from engines.engine import Engine, open_engine
from engines.errors import EngineError, PartNotLocated
from engines.training.images.dataset import read_image
from engines.training.synthesis.defects import Image, blur_of, blurred, sign_of, stamp_of
from engines.training.synthesis.places import free_of, paint_somewhere


@dataclass(frozen=True)
class Shown:
    """One defect, and whether it was found."""

    kind: str
    contrast: int
    size_px: float
    found: bool


def promised(engine: Engine) -> tuple[Detectability, ...]:
    """The curves of what the engine finds 9 times of 10 from some size on."""
    detection = engine.manifest.detection
    return () if detection is None else tuple(curve for curve in detection.curves if curve.review.from_px is not None)


def challenge(engine: Engine, image: Image, seed: int) -> Iterator[Shown]:
    """Each promised defect once in a picture; none where the part is not found, or does not pass without a defect."""
    limit = engine.calibration.review_score
    try:
        free = free_of(image, engine.location)
        if engine.score(image).image_score > limit:
            return
    except PartNotLocated:
        return
    blur_px = blur_of(image)
    for number, curve in enumerate(promised(engine)):
        rng = np.random.default_rng([seed, number])
        size_px = curve.review.from_px or 0.0
        stamp = blurred(stamp_of(curve.kind, max(size_px, 1.0), rng), blur_px)
        painted = paint_somewhere(image, free, stamp, sign_of(curve.kind, rng) * curve.contrast, rng)
        if painted is None:
            continue
        try:
            found = engine.score(painted[0]).image_score > limit
        except PartNotLocated:  # such a part does not pass
            found = True
        yield Shown(curve.kind, curve.contrast, size_px, found)


def main(arguments: Sequence[str]) -> int:
    """Exit code 0: the last line is the result; 1: it says why there is none."""
    folder, seed, *files = arguments
    started = time.monotonic()
    shown: list[Shown] = []
    try:
        with open_engine(Path(folder), threads=1) as engine:
            for done, file in enumerate(files, start=1):
                shown += challenge(engine, read_image(Path(file)), int(seed) + done)
                left_s = (time.monotonic() - started) / done * (len(files) - done)
                _say({"step": "virtual challenge", "done": done, "total": len(files), "left_s": round(left_s, 1)})
            _say({"event": "done", "engine_id": engine.engine_id, "promised": len(promised(engine)),
                  "shown": [[one.kind, one.contrast, round(one.size_px, 1), one.found] for one in shown]})  # fmt: skip
    except (EngineError, OSError) as problem:
        _say({"event": "error", "message": str(problem)})
        return 1
    return 0


def _say(line: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
