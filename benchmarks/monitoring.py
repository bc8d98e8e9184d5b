"""How often drift is seen where there is none; how soon and under which name where there is: simulated and real lines.

    python -m benchmarks.monitoring [--runs 1000] [--sets DIR...] [--only PART...] [--json FILE]

Beside the parts: master parts over challenge tests, and labels that somebody looks at every day.

In control: `--runs` lines of 3,000 parts after the learning, with a run length set so short that a share of 3,000 / run
length of them may alarm. Changes: the settings of a station (one false alarm a year at 3,600 parts/h), 100 lines each.
Real pictures: those of each set, drawn with replacement as the parts of a line, then made darker, blurred, brighter by
an offset, shifted by a twentieth of the width where a part can be located (bottle; the others fill the frame); their
numbers are those that the station takes of a frame. Each line learns anew. `--only` brings these parts of the file up
to date and leaves the others.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from drivers.imagefiles.listing import list_images
from drivers.imagefiles.reading import read
from engines.location.location import Location
from engines.training.images.dataset import open_dataset
from engines.training.location.locate import LocateOptions, locate
from station.line.inspection.frame_quality import frame_quality
from station.monitoring.e_detector import EProcess
from station.monitoring.masters import LEARNED_TESTS, MasterStream
from station.monitoring.seen import SeenPart, SeenView
from station.monitoring.watch import Promise, Watch, WatchSettings
from station.results import Pixels, Verdict
from tests.monitoring.line import Line

PROMISE = Promise(rejected=0.01, doubted=0.05)
STATION = WatchSettings(parts_per_hour=3600, false_alarms_per_year=1, defect_share=0.01, not_inspected_share=0.005)
LEARNING, IN_CONTROL, MOST = 1300, 3000, 20_000
MOST_PICTURES = 3000
RUN_LENGTH = 30_000
CHANGES: dict[str, dict[str, float]] = {
    "lamp -5 %": {"grey": 114.0},
    "lamp -10 %": {"grey": 108.0},
    "lamp -20 %": {"grey": 96.0, "score_shift": 1.0},
    "lamp -28 %": {"grey": 86.4, "score_shift": 3.0, "rejected": 0.9},
    "defocus": {"sharpness": 0.05, "score_shift": -1.0},
    "offset": {"place": 0.55},
    "new texture": {"score_shift": 1.0, "sharpness": 0.10},
    "new texture, scores alone": {"score_shift": 1.0},
    "2 % defects more": {"rejected": 0.03},
    "10 % defects": {"rejected": 0.1},
    "parts not found": {"not_inspected": 0.05},
    "a kind 0.2 -> 2 %": {"scratched": 0.02},
    "a new kind 0.1 -> 3 %": {"unknown": 0.03},
}
HELD_OUT = 150
"""Scores of teaching."""
WITH_KINDS = Line(scratched=0.002, unknown=0.001)
TESTS = 500
"""Challenge tests of a master part, one after the other; a year of three a day has 1,100."""
LOOKS, LABELS_A_DAY = 365, 10
Change = Callable[[Pixels], Pixels]
SHIFTED = "shift 5 %"
LOCATED = {"bottle": "template"}
"""Sets whose parts lie in front of a background, and how they are found; the others fill the frame."""
OF_PICTURES: dict[str, Change] = {
    "lamp -5 %": lambda image: scaled(image, 0.95),
    "lamp -10 %": lambda image: scaled(image, 0.9),
    "lamp -20 %": lambda image: scaled(image, 0.8),
    "lamp -28 %": lambda image: scaled(image, 0.72),
    "offset +10": lambda image: np.asarray(cv2.add(image, np.full_like(image, 10)), np.uint8),
    "blur 1 px": lambda image: np.asarray(cv2.GaussianBlur(image, (0, 0), 1.0), np.uint8),
    "blur 2 px": lambda image: np.asarray(cv2.GaussianBlur(image, (0, 0), 2.0), np.uint8),
    SHIFTED: lambda image: shifted(image, 0.05),
}


def scaled(image: Pixels, factor: float) -> Pixels:
    return np.asarray(np.rint(image * factor), np.uint8)


def shifted(image: Pixels, share: float) -> Pixels:
    """Aside, by a share of the width; what comes in is mirrored."""
    across = round(share * image.shape[1])
    return np.asarray(cv2.copyMakeBorder(image, 0, 0, across, 0, cv2.BORDER_REFLECT)[:, :-across], np.uint8)


@dataclass(frozen=True, slots=True)
class Delays:
    """Of one kind of change: parts until it was named, and how often by which name."""

    parts: Sequence[int]
    named: Sequence[str]

    def as_dict(self) -> dict[str, Any]:
        found = [parts for parts, name in zip(self.parts, self.named, strict=True) if name]
        return {
            "runs": len(self.parts),
            "found": len(found),
            "median_parts": float(np.median(found)) if found else None,
            "p90_parts": float(np.quantile(found, 0.9)) if found else None,
            "named": {name: list(self.named).count(name) for name in sorted(set(self.named)) if name},
        }


def in_control(runs: int) -> dict[str, Any]:
    """False alarms of lines that stay as they are."""
    settings = replace(STATION, false_alarms_per_year=STATION.parts_per_hour * 8760 / RUN_LENGTH)
    alarms = 0
    for run in range(runs):
        random = np.random.default_rng(1000 + run)
        line = replace(WITH_KINDS, wander=0.005 if run % 2 else 0.0)
        watch = learned(settings, line.parts(LEARNING, random), random)
        alarms += any(found(watch, part) for part in line.parts(IN_CONTROL, random))
        print(f"\rin control {run + 1}/{runs}: {alarms} alarms", end="", flush=True)
    allowed = runs * IN_CONTROL / RUN_LENGTH
    print(f"\rin control: {alarms} of {runs} runs of {IN_CONTROL} parts alarm, at most {allowed:.0f} are promised")
    return {"runs": runs, "parts": IN_CONTROL, "run_length": RUN_LENGTH, "alarms": alarms, "promised": allowed}


def learned(settings: WatchSettings, parts: Iterator[SeenPart], random: np.random.Generator | None = None) -> Watch:
    """`random`: draws scores of teaching, which are those of the line; None: the engine knows none."""
    scores = [] if random is None else np.clip(0.2 + 0.05 * random.normal(size=HELD_OUT), 0, 0.49).tolist()
    watch = Watch(settings, replace(PROMISE, held_out=tuple(scores)))
    for part in parts:
        watch.add(part)
    return watch


def found(watch: Watch, part: SeenPart) -> bool:
    watch.add(part)
    return watch.finding is not None


def delay(watch: Watch, parts: Iterator[SeenPart]) -> tuple[int, str]:
    """Parts until something is named, and the name; empty: nothing was."""
    for number, part in enumerate(parts, start=1):
        if found(watch, part) and watch.finding is not None:
            return number, watch.finding.cause.name.lower()
    return 0, ""


def changes(runs: int, *, kinds: bool) -> dict[str, Any]:
    """Delays of the changes of lines in numbers; of those of kinds of defects, or of the others."""
    table = {}
    for name, change in CHANGES.items():
        if kinds != ("kind" in name):
            continue
        results = []
        for run in range(runs):
            random = np.random.default_rng(run)
            line = WITH_KINDS if "kind" in name else Line()
            learning = 8 * LEARNING if "kind" in name else LEARNING
            watch = learned(STATION, line.parts(learning, random), random)
            results.append(delay(watch, replace(line, **change).parts(MOST, random)))
        table[name] = Delays([parts for parts, _ in results], [cause for _, cause in results]).as_dict()
        print(f"{name:28} {table[name]}")
    return table


def from_the_start(runs: int) -> dict[str, Any]:
    """Delays of lines whose product is another one than at teaching from the first part on."""
    results = []
    for run in range(runs):
        random = np.random.default_rng(run)
        watch = learned(STATION, iter(()), random)
        results.append(delay(watch, Line(score_shift=1.0).parts(MOST, random)))
    found = Delays([parts for parts, _ in results], [cause for _, cause in results]).as_dict()
    print(f"another product from the start {found}")
    return found


def masters(runs: int) -> dict[str, Any]:
    """False alarms of one master part in `TESTS` tests, and tests until a shift is seen."""
    table = {}
    for shift in (0.0, 3.0, 4.0, 6.0):
        taken: list[int] = []
        for run in range(runs):
            random, stream = np.random.default_rng(run), MasterStream("master part: scratch")
            for _ in range(2 * LEARNED_TESTS):
                stream.add(0.6 + 0.02 * random.normal())
            for number in range(1, TESTS + 1):
                stream.add(0.6 + 0.02 * (random.normal() + shift))
                if stream.changed:
                    taken.append(number)
                    break
        name = f"shift by {shift:g} deviations"
        median = float(np.median(taken)) if taken else None
        table[name] = {"runs": runs, "tests": TESTS, "found": len(taken), "median_tests": median}
        print(f"master part, {name:24} {table[name]}")
    return table


def peeking(runs: int) -> dict[str, Any]:
    """An e-process of labels that is looked at every day of a year: how often it is ever called wrong, and right."""
    table = {}
    for name, share in (("as promised", 0.02), ("5 %", 0.05), ("10 %", 0.1)):
        days = []
        for run in range(runs):
            random, process = np.random.default_rng(run), EProcess(0.02, (0.05, 0.1, 0.3))
            for day in range(1, LOOKS + 1):
                for happened in random.random(LABELS_A_DAY) < share:
                    process.add(bool(happened))
                if process.value >= 20:
                    days.append(day)
                    break
        table[name] = {"runs": runs, "reached_20": len(days), "median_days": float(np.median(days)) if days else None}
        print(f"peeking daily, {name:12} {table[name]}")
    return table


def pictures(folder: Path, runs: int) -> dict[str, Any]:
    """Delays on the real pictures of a set: its good training images as a line."""
    images = [read(path).pixels for path in list_images(folder / "train" / "good").files]
    location = (
        locate(open_dataset(folder), LocateOptions(LOCATED[folder.name])).location if folder.name in LOCATED else None
    )
    normal = [view_of(image, location) for image in images]
    table = {}
    for name, change in {"nothing": lambda image: image, **OF_PICTURES}.items():
        if name == SHIFTED and location is None:
            continue
        changed = [view_of(change(image), location) for image in images]
        results = []
        for run in range(runs):
            random = np.random.default_rng(run)
            watch = learned(STATION, drawn(normal, LEARNING, random))
            results.append(delay(watch, drawn(changed, MOST_PICTURES, random)))
        table[name] = Delays([parts for parts, _ in results], [cause for _, cause in results]).as_dict()
        print(f"{folder.name:14} {name:14} {table[name]}")
    return table


def view_of(image: Pixels, location: Location | None) -> SeenView:
    """As the station sees a frame."""
    quality = frame_quality(image)
    sharpness = quality.sharpness / max(quality.mean_grey, 1.0) ** 2
    pose = None if location is None else location.locate(image)
    width = image.shape[1]
    place = None if pose is None else (pose.x / width, pose.y / width, pose.width / width)
    return SeenView("top", quality.mean_grey, quality.saturated_share, sharpness, place, None)


def drawn(views: Sequence[SeenView], count: int, random: np.random.Generator) -> Iterator[SeenPart]:
    for index in random.integers(0, len(views), count):
        yield SeenPart("r", "e", Verdict.PASS, False, math.nan, (views[index],))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000, help="lines in control; a tenth as many of each change")
    parser.add_argument("--sets", type=Path, nargs="*", default=[], metavar="DIR", help="folders with train/good")
    parser.add_argument("--only", nargs="*", default=[], metavar="PART", help="in_control, changes, kinds, ...")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    few = max(options.runs // 10, 1)
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "in_control": lambda: in_control(options.runs),
        "changes": lambda: changes(few, kinds=False),
        "kinds": lambda: changes(few, kinds=True),
        "from_the_start": lambda: from_the_start(few),
        "master_parts": lambda: masters(options.runs),
        "peeking": lambda: peeking(2 * options.runs),
        "pictures": lambda: {folder.name: pictures(folder, few) for folder in options.sets},
    }
    for name, made in parts.items():
        if not options.only or name in options.only:
            found = made()
            if options.json is not None:
                known = json.loads(options.json.read_text()) if options.json.exists() else {}
                options.json.write_text(json.dumps({**known, name: found}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
