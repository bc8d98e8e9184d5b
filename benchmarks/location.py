"""Are parts found: drawn loose parts under soft shadows, uneven ground and glare; located rightly, wrongly, or said.

    python benchmarks/location.py [--only NAME] [--json benchmarks/results/location.json]
    python benchmarks/location.py --time       # what it costs for a frame of 5 MP on one core
    python benchmarks/location.py --write DIR  # one product as a labelled set, for `station evaluate --dataset DIR`

Each product is taught from good pictures, as `station teach` does it (`engines.training.location`), and then sees new
ones: whole parts at any place and angle up to 3 % from the edge, parts half outside, two parts, no part. *Right*: the
box holds at least 99 % of the part, is not much larger than it, and lies on it as in the other pictures. *Said*: not
located, with a reason, which is REVIEW on the line. *Wrong*: anything else that got a box.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engines.bundle.location_spec import BlobLocation
from engines.errors import PartNotLocated
from engines.location.location import Location
from engines.location.pose import Pose
from engines.training.images.dataset import open_dataset
from engines.training.location.locate import Located, locate
from engines.training.location.sheet import location_sheet
from tests.bench.engines.drawn_scenes import PRODUCTS, Product, Scene, is_right, picture, turned_by, usual_turn

TAUGHT = 60
TESTED = {"whole": 100, "half": 30, "two": 30, "none": 10}
FRAME = (2048, 2448)
RUNS = 200


def teach(product: Product, folder: Path) -> Located:
    """The location that teaching chooses for the product."""
    folder.mkdir()
    for seed in range(TAUGHT):
        cv2.imwrite(str(folder / f"{seed:03}.png"), _bgr(picture(product, seed).image))
    return locate(open_dataset(folder))


def measure(product: Product, located: Located) -> dict[str, object]:
    """One row: counts of the whole parts, of the others, and the reasons."""
    location = located.location
    if location.spec.method == "none":
        return {"product": product.name, "method": "none", "why": located.description, "whole": {}, "others": {}}
    found: dict[str, list[tuple[Scene, Pose | str]]] = {}
    for what, count in TESTED.items():
        scenes = [picture(product, 10_000 + seed, what=what) for seed in range(count)]
        found[what] = [(scene, _located(location, scene)) for scene in scenes]
    usual_deg = usual_turn([turned_by(scene, pose) for scene, pose in found["whole"] if isinstance(pose, Pose)])
    whole = Counter(
        "said" if isinstance(pose, str) else "right" if is_right(scene, product, pose, usual_deg) else "wrong"
        for scene, pose in found["whole"]
    )
    others = {
        what: sum(isinstance(pose, str) for _, pose in found[what]) / len(found[what])
        for what in TESTED
        if what != "whole"
    }
    return {
        "product": product.name,
        "method": location.spec.model_dump(mode="json"),
        "why": located.description,
        "taught": len(located.dataset.files) / TAUGHT,
        "whole": {name: whole[name] / TESTED["whole"] for name in ("right", "said", "wrong")},
        "others": others,
    }


def milliseconds(specs: dict[str, BlobLocation]) -> dict[str, float]:
    """Processor time to find the part in a grey frame of 5 MP, each way, in turns, on one core: the best tenth of the
    runs, since other work on the machine only adds."""
    cv2.setNumThreads(1)
    scene = picture(PRODUCTS[1], 0, size=min(FRAME)).image
    wider = cv2.copyMakeBorder(scene, 0, 0, 0, FRAME[1] - FRAME[0], cv2.BORDER_REPLICATE)
    frame = np.asarray(wider, np.uint8)
    locations = {name: Location(spec) for name, spec in specs.items()}
    times: dict[str, list[float]] = {name: [] for name in specs}
    for _ in range(RUNS):
        for name, location in locations.items():
            started = time.thread_time_ns()
            location.locate(frame)
            times[name].append((time.thread_time_ns() - started) / 1e6)
    return {name: round(float(np.quantile(each, 0.1)), 3) for name, each in times.items()}


def write_set(product: Product, folder: Path) -> None:
    """Good pictures to teach and to test, and defective ones, in MVTec layout."""
    for name, first, count, spot in (
        ("train/good", 0, TAUGHT, False), ("test/good", 20_000, 60, False), ("test/spot", 30_000, 60, True),
    ):  # fmt: skip
        (folder / name).mkdir(parents=True)
        for seed in range(first, first + count):
            cv2.imwrite(str(folder / name / f"{seed:05}.png"), _bgr(picture(product, seed, spot=spot).image))


def _located(location: Location, scene: Scene) -> Pose | str:
    try:
        pose = location.locate(scene.image)
    except PartNotLocated as error:
        return str(error)
    assert pose is not None
    return pose


def _bgr(image: np.ndarray) -> np.ndarray:
    return image if image.ndim == 2 else np.ascontiguousarray(image[:, :, ::-1])


def _table(rows: list[dict[str, object]]) -> Table:
    table = Table("product", "taught", "right", "said", "wrong", "half outside said", "two said", "none said", "how")
    for row in rows:
        whole, others = row["whole"], row["others"]
        assert isinstance(whole, dict)
        assert isinstance(others, dict)
        shares = [row.get("taught", 0.0), *whole.values(), *others.values()] if whole else []
        cells = [f"{share:.1%}" for share in shares] or ["-"] * 7
        table.add_row(str(row["product"]), *cells, str(row["why"]).split(";")[0])
    return table


def main() -> None:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="products whose name has this")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sheets", type=Path, help="folder for the pictures of what was found")
    parser.add_argument("--write", type=Path, help="write the first product as a labelled set, and nothing else")
    parser.add_argument("--time", action="store_true")
    options = parser.parse_args()
    products = [product for product in PRODUCTS if (options.only or "") in product.name]
    if options.write:
        write_set(products[0], options.write)
        return
    if options.time:
        plain = BlobLocation(contrast=60, min_area_share=0.001, max_area_share=0.5, turn=True, head="shape")
        taught = plain.model_copy(update={"box": (-2.0, -2.0, 2.0, 2.0), "max_other_share": 0.1})
        specs = {"grey, outermost points (before)": plain, "grey, taught box": taught}
        for name, change in (
            ("darker than the ground", {"side": "darker"}),
            ("ground followed", {"side": "darker", "ground": "local"}),
            ("edges", {"cue": "edges", "contrast": 10.0}),
        ):
            specs[name] = taught.model_copy(update=change)
        times = milliseconds(specs)
        for name, cost_ms in times.items():
            print(f"{name:34} {cost_ms:6.2f} ms  {cost_ms / next(iter(times.values())):5.2f} x")
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for number, product in enumerate(products):
            located = teach(product, Path(folder) / str(number))
            rows.append(measure(product, located))
            if options.sheets:
                options.sheets.mkdir(parents=True, exist_ok=True)
                sheet = location_sheet(located)
                cv2.imwrite(str(options.sheets / f"{number:02}.jpg"), sheet[:, :, ::-1])
    Console(width=200).print(_table(rows))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
