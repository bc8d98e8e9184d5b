"""Does the default engine see logical defects? A drawn board on which every piece looks as it should, at a wrong place.

    python benchmarks/logical_defects.py [--good 100] [--each 25] [--json FILE] [--sheet FILE.png]

Good boards carry four screws, two round caps of different colour, a connector with eight pins, a label with a bar code
and a cable from the connector to one of the caps, which hangs a little differently on each; pieces move and turn by a
little, light and noise vary. Defects: a piece is missing, doubled, at another place, or two pieces changed places; the
cable goes to the wrong cap; a pin is missing; one of five further small screws, which lie anywhere in a tray, is
missing or one is too many. The last two kinds are the ones that no place of the picture shows: only counting does.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from engines.detectors.catalogue import DETECTORS
from engines.training.evaluation.metrics import auroc, escapes_by_ranking
from engines.training.fitting.train import score
from engines.training.images.dataset import open_dataset
from engines.training.images.features import cached_features
from engines.training.learn import LearnOptions, learn
from engines.training.location.locate import locate

SIZE = 320
SCREWS = ((40, 40), (280, 40), (40, 280), (280, 280))
CAPS = {"blue": ((110, 90), (160, 70, 40)), "red": ((210, 90), (40, 50, 170))}
TRAY = (70, 200, 170, 265)
"""x0, y0, x1, y1."""
DEFECTS = (
    "screw missing", "screw doubled", "caps swapped", "cap missing", "label elsewhere", "pin missing",
    "wrong cap wired", "one too few in the tray", "one too many in the tray",
)  # fmt: skip

Image = NDArray[np.uint8]


def board(rng: np.random.Generator, defect: str = "") -> Image:
    """(SIZE, SIZE, 3), blue first."""
    image = np.full((SIZE, SIZE, 3), (96, 120, 88), np.float32)
    image += cv2.GaussianBlur(rng.normal(0, 12, image.shape).astype(np.float32), (0, 0), 2)
    screws = [_moved(rng, place) for place in SCREWS]
    if defect == "screw missing":
        del screws[rng.integers(len(screws))]
    if defect == "screw doubled":
        x, y = screws[rng.integers(len(screws))]
        screws.append((x + (26 if x < SIZE / 2 else -26), y))
    for place in screws:
        _screw(image, place, 11, rng)
    ends = _caps(image, defect, rng)
    _connector(image, defect, rng)
    to = "red" if defect == "wrong cap wired" else "blue"
    sag = rng.normal(0, 6)
    curve = np.array(
        [((1 - t) * 160 + t * ends[to][0], (1 - t) * 150 + t * ends[to][1] + (20 + sag) * t * (1 - t)) for t in
         np.linspace(0, 1, 20)]
    )  # fmt: skip
    cv2.polylines(image, [np.round(curve).astype(np.int32)], False, (20, 20, 25), 3, cv2.LINE_AA)
    _label(image, _moved(rng, (255, 160) if defect == "label elsewhere" else (255, 230)), rng)
    _tray(image, 5 + {"one too few in the tray": -1, "one too many in the tray": 1}.get(defect, 0), rng)
    lit = image * (1 + 0.04 * rng.normal()) + rng.normal(0, 2.5, image.shape)
    return np.asarray(np.clip(cv2.GaussianBlur(lit, (0, 0), 0.7), 0, 255), np.uint8)


def _caps(image: NDArray[np.float32], defect: str, rng: np.random.Generator) -> dict[str, tuple[int, int]]:
    """Draws them; returns where each place is."""
    at = {name: _moved(rng, place) for name, (place, _) in CAPS.items()}
    colours = {name: colour for name, (_, colour) in CAPS.items()}
    if defect == "caps swapped":
        colours = {"blue": colours["red"], "red": colours["blue"]}
    gone = str(rng.choice(list(CAPS))) if defect == "cap missing" else ""
    for name, place in at.items():
        if name != gone:
            cv2.circle(image, place, 20, colours[name], -1, cv2.LINE_AA)
            cv2.circle(image, (place[0] - 5, place[1] - 6), 5, (190, 190, 190), -1, cv2.LINE_AA)
    return at


def _connector(image: NDArray[np.float32], defect: str, rng: np.random.Generator) -> None:
    x, y = _moved(rng, (160, 158))
    cv2.rectangle(image, (x - 45, y - 12), (x + 45, y + 12), (40, 40, 44), -1)
    gone = rng.integers(8) if defect == "pin missing" else -1
    for pin in range(8):
        if pin != gone:
            cv2.rectangle(image, (x - 38 + 10 * pin, y - 5), (x - 34 + 10 * pin, y + 5), (150, 205, 215), -1)


def _label(image: NDArray[np.float32], place: tuple[int, int], rng: np.random.Generator) -> None:
    x, y = place
    cv2.rectangle(image, (x - 30, y - 18), (x + 30, y + 18), (225, 228, 230), -1)
    for bar in range(14):
        if rng.random() < 0.6:  # every board has a number of its own
            cv2.line(image, (x - 26 + 4 * bar, y - 12), (x - 26 + 4 * bar, y + 12), (30, 30, 30), 2)


def _tray(image: NDArray[np.float32], count: int, rng: np.random.Generator) -> None:
    x0, y0, x1, y1 = TRAY
    cv2.rectangle(image, (x0, y0), (x1, y1), (60, 66, 70), -1)
    places: list[tuple[int, int]] = []
    while len(places) < count:
        x, y = int(rng.integers(x0 + 10, x1 - 10)), int(rng.integers(y0 + 10, y1 - 10))
        if all((x - other) ** 2 + (y - above) ** 2 > 18**2 for other, above in places):
            places.append((x, y))
    for place in places:
        _screw(image, place, 7, rng)


def _screw(image: NDArray[np.float32], place: tuple[int, int], radius: int, rng: np.random.Generator) -> None:
    cv2.circle(image, place, radius, (150, 155, 160), -1, cv2.LINE_AA)
    angle = rng.uniform(0, np.pi)
    off = np.round(0.7 * radius * np.array([np.cos(angle), np.sin(angle)])).astype(int)
    first, last = np.array(place) - off, np.array(place) + off
    cv2.line(image, tuple(map(int, first)), tuple(map(int, last)), (60, 60, 62), 2, cv2.LINE_AA)


def _moved(rng: np.random.Generator, place: tuple[int, int]) -> tuple[int, int]:
    x, y = np.round(np.array(place) + rng.normal(0, 1.5, 2)).astype(int)
    return int(x), int(y)


def write(folder: Path, count: int, rng: np.random.Generator, defect: str = "") -> None:
    """Images of `count` boards."""
    folder.mkdir(parents=True)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:03}.png"), board(rng, defect))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--good", type=int, default=100, help="good boards to teach from (default %(default)s)")
    parser.add_argument("--each", type=int, default=25, help="defective boards of each kind (default %(default)s)")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sheet", type=Path, help="only draw one board of each kind, to be looked at")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    if options.sheet:
        boards = [board(rng, defect) for defect in ("", *DEFECTS)]
        cv2.imwrite(str(options.sheet), np.vstack([np.hstack(boards[:5]), np.hstack(boards[5:])]))
        return
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="logical-") as temporary:
        folder = Path(temporary)
        kinds = {"good": 2 * options.each, **dict.fromkeys(DEFECTS, options.each)}
        write(folder / "images" / "0 learned", options.good, rng)
        for number, (kind, count) in enumerate(kinds.items(), 1):
            write(folder / "images" / f"{number} {kind}", count, rng, "" if kind == "good" else kind)
        flat = folder / "all"
        flat.mkdir()
        for file in (folder / "images").glob("*/*.png"):
            (flat / f"{file.parent.name}-{file.name}").symlink_to(file)
        located = locate(open_dataset(flat))
        detector = DETECTORS["spatial"](located.input, "lite0")
        detector.eval()
        features = cached_features(
            detector, located.dataset, located.input, detector_key=detector.backbone.key,
            folder=folder / "cache", on_progress=lambda _done, _total: None, location=located.location,
        )  # fmt: skip
        names = [file.path.name for file in located.dataset.files]
        learned = learn(detector, features, _of(names, 0), LearnOptions())
        limits = learned.calibration
        good, _ = score(detector, features, _of(names, 1))
        rows = []
        for number, kind in enumerate(DEFECTS, 2):
            bad, _ = score(detector, features, _of(names, number))
            rows.append(
                {
                    "kind": kind, "auroc": round(auroc(good, bad), 3),
                    "passed": round(float(np.mean(bad <= limits.review_score)), 2),
                    "not_rejected": round(float(np.mean(bad <= limits.reject_score)), 2),
                    "ranked_5": round(escapes_by_ranking(good, bad, 0.05), 2),
                }
            )  # fmt: skip
    table = Table(*(key.replace("_", " ") for key in rows[0]))
    for row in rows:
        table.add_row(*map(str, row.values()))
    Console().print(table)
    found = {
        "taught": options.good, "located": located.location.spec.method if located.location.spec else "whole image",
        "good_above_review": round(float(np.mean(good > limits.review_score)), 3), "kinds": rows,
    }  # fmt: skip
    print(json.dumps({key: value for key, value in found.items() if key != "kinds"}))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


def _of(names: list[str], number: int) -> NDArray[np.intp]:
    return np.array([index for index, name in enumerate(names) if name.startswith(f"{number} ")], np.intp)


if __name__ == "__main__":
    main()
