"""Kinds of defects learned anew from labels: how long it takes, and how often the new names are right.

    python -m benchmarks.kinds_anew DIR... [--labels 10,100,1000] [--draws 20] [--work DIR] [--json FILE]

Per set an engine is taught on the good training images, as a station does it, without labels. Then its defective test
images become labels.

Time: `relearn` from so many labels, each image a file; where a set has fewer, mirrored and darker copies make them up.
"all new" has seen none of them; "one new" has seen all but one before, as after a review.

Names: looks from the engine's own graph, measured as `benchmarks.kinds` does.
`graph` is the largest difference between the likeness in the new engine's graph and the one computed here.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.kinds import Defects, measure
from engines.bundle.reading import read_bundle
from engines.runtimes.onnx import OnnxRuntime
from engines.teach_request import TeachRequest
from engines.training.evaluation.layouts import Sample, open_sets
from engines.training.images.grouping import twin_groups
from engines.training.kinds.looks import Look, Looks
from engines.training.kinds.relearn import LabelledImage, relearn
from station.jobs.teaching import teach

THREADS = 1


def main() -> None:
    """Prints a row of JSON for each set and number of labels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=Path, nargs="+", metavar="DIR")
    parser.add_argument("--labels", type=_numbers, default=[10, 100, 1000])
    parser.add_argument("--each", type=_numbers, default=[1, 2, 5, 10], help="labels of each kind, for the names")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--work", type=Path, help="folder that keeps engines and features between runs")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        for data in open_sets(options.sets):
            folder = (options.work or Path(temporary)) / data.name
            engine = folder / "engine"
            if not engine.is_dir():
                request = TeachRequest(defect_trials=0, threads=2, cache=folder / "features")
                good = folder / "good"
                good.mkdir(parents=True, exist_ok=True)
                for number, sample in enumerate(data.train_good):
                    (good / f"{number:05}{sample.path.suffix}").write_bytes(sample.path.read_bytes())
                teach(good, engine, request)
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                for count in options.labels:
                    rows.append({"set": data.name, **timed(engine, data.test_defective, count, Path(scratch))})
                    print(json.dumps(rows[-1]), flush=True)
                defects, difference = named(engine, data.test_defective, Path(scratch))
                for count in options.each:
                    rows.append({**measure(data.name, defects, count, options.draws), "graph": difference})
                    print(json.dumps(rows[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


def timed(engine: Path, samples: Sequence[Sample], count: int, scratch: Path) -> dict[str, Any]:
    """Seconds of learning from `count` labels that are all new, and of one more."""
    folder = scratch / f"labels-{count}"
    images = files(samples, count + 1, folder)
    cache = scratch / f"looks-{count}"
    seconds = {}
    for name, chosen in (("all new", images[:-1]), ("one new", images)):
        started = time.monotonic()
        done = relearn(engine, chosen, scratch / f"{name}-{count}", cache=cache, threads=THREADS)
        seconds[name] = {"all": round(time.monotonic() - started, 2), **done.as_dict()["seconds"]}  # type: ignore[dict-item]
    return {"labels": count, "seconds": seconds, "largest_difference": done.largest_difference}


def files(samples: Sequence[Sample], count: int, folder: Path) -> list[LabelledImage]:
    """So many labelled images of all kinds in turn; beyond those that there are, copies that differ."""
    folder.mkdir()
    kinds = sorted({sample.defect for sample in samples})
    by_kind = {kind: [sample for sample in samples if sample.defect == kind] for kind in kinds}
    found = []
    for number in range(count):
        of_kind = by_kind[kinds[number % len(kinds)]]
        turn, place = divmod(number // len(kinds), len(of_kind))
        image = cv2.imread(str(of_kind[place].path), cv2.IMREAD_UNCHANGED)
        assert image is not None
        if turn % 2:
            image = cv2.flip(image, 1)
        darker = np.asarray(image * (1 - 0.02 * (turn // 2)), np.uint8)
        file = folder / f"{number:05}.png"
        cv2.imwrite(str(file), darker)
        found.append(LabelledImage(file, of_kind[place].defect, f"s/{number}/top"))
    return found


def named(engine: Path, samples: Sequence[Sample], scratch: Path) -> tuple[Defects, float]:
    """The defects as the engine's graph sees them; and how far a graph with new kinds is from what is computed here."""
    bundle = read_bundle(engine)
    looks = Looks(bundle, scratch / "looks", threads=THREADS)
    found = [look for _, look in looks.of_files([sample.path for sample in samples], lambda _done, _total: None)]
    known = [look for look in found if isinstance(look, Look)]
    names = np.array([sample.defect for sample, look in zip(samples, found, strict=True) if isinstance(look, Look)])
    wholes = np.stack([*(looks.of_prepared(image).whole for image in bundle.sample), *(look.whole for look in known)])
    groups = twin_groups({"whole": wholes}, np.arange(len(wholes)))[len(bundle.sample) :]
    values = np.stack([look.values.astype(np.float64) for look in known])
    labelled = [LabelledImage(sample.path, sample.defect, f"s/{n}/top") for n, sample in enumerate(samples)]
    done = relearn(engine, labelled, scratch / "all", cache=scratch / "looks", threads=THREADS)
    after = read_bundle(scratch / "all")
    images = np.stack(after.sample)
    with OnnxRuntime(after.model, after.manifest.input, after.manifest.map, threads=THREADS) as runtime:
        runtime.infer(images)
        assert runtime.kinds is not None
        computed = done.found.likeness(np.stack([looks.of_prepared(image).values.astype(float) for image in images]))
        difference = float(np.abs(runtime.kinds - computed).max())
    return Defects(values, names, groups), difference


def _numbers(text: str) -> list[int]:
    return [int(each) for each in text.split(",")]


if __name__ == "__main__":
    main()
