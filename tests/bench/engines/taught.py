"""An engine taught on rings, whole: once in a run of the tests, for all that look at what a teaching leaves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from engines.teach_request import TeachRequest
from station.jobs.process import JobProgress
from station.jobs.teaching import TeachResult, command_again, teach
from tests.bench.engines.pictures import write_rings
from tests.bench.made_once import made_once

GOOD = 36
DIRTY = ("500.png", "501.png")
KNOWN_BAD = ("600.png", "601.png", "602.png")
IGNORED = ((0.0, 0.0), (0.1, 0.0), (0.1, 0.1))


@dataclass(frozen=True)
class Taught:
    """What a training left behind. It is shared: who changes anything takes a copy."""

    result: TeachResult
    request: TeachRequest
    seen: list[JobProgress]
    images: Path
    cache: Path
    """The features."""

    @property
    def known_bad(self) -> Path:
        assert self.request.known_bad is not None
        return self.request.known_bad


def taught_on_rings(factory: pytest.TempPathFactory) -> Taught:
    """An engine taught on good parts, by mistake two scratched ones, and three more that are known to be bad."""
    return made_once(factory, "taught", _teach)


def _teach(folder: Path) -> Taught:
    images, cache, known_bad = folder / "good parts", folder / "cache", folder / "bad.txt"
    write_rings(images, GOOD)
    write_rings(images, len(DIRTY), first_seed=500, scratch=True)
    write_rings(images, len(KNOWN_BAD), first_seed=600, scratch=True)
    known_bad.write_text("\n".join(KNOWN_BAD))
    ignore = " ".join(f"{x:g},{y:g}" for x, y in IGNORED)
    request = TeachRequest(steps=0, threads=1, known_bad=known_bad, cache=cache, ignore=ignore, defect_trials=20)
    seen: list[JobProgress] = []
    output = folder / "first"
    again = command_again(images, output, replace(request, cache=None))
    result = teach(images, output, request, shown_command=again, on_progress=seen.append)
    return Taught(result, request, seen, images, cache)
