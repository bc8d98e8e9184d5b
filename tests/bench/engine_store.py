"""A station with a store of small engines and parts on record, for the pages of maintenance."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from engines.bundle.detection import KINDS
from engines.bundle.manifest import KnownDefectsRecord, PossibleVariants
from engines.bundle.reading import read_bundle
from engines.bundle.writing import write_bundle
from engines.store.store import EngineStore
from tests.bench.engines.small_engine import detection_of, write_small_engine
from tests.bench.pages import Pages, serving, some_parts

WIDTH, HEIGHT = 64, 48
SUSPECTS = KnownDefectsRecord(
    labelled=1, masks=0, weight=0.5, auroc_before=0.9, auroc_after=0.95, passed_before=1, passed_after=0
)


def write_dossier(engine: Path, removed: int = 3, *, suspects: bool = False) -> Path:
    """A dossier of 30 images of parts 1 to 30, of which the last ones were removed; two of them are alike, and the one
    that is least unlike the others is a suspect. `suspects`: it adds to the scores.
    """
    folder = engine / "dossier"
    (folder / "pictures").mkdir(parents=True)
    gone = list(range(30 - removed, 30))
    images = [
        {"id": n, "name": f"s1-{n + 1:09}-part{1001 + n}-top.png", "sha256": f"{n:064}", "fate": "kept"}
        | ({"fate": "removed", "removed_in_round": 1, "removal_shown": 0.6 + n / 100} if n in gone else {})
        for n in range(30)
    ]  # fmt: skip
    for n in gone:
        picture = np.full((90, 120, 3), 150, np.uint8)
        cv2.circle(picture, (30 + 20 * (n % 4), 45), 12, (40, 60, 200), -1)
        for end in ("", "-map"):
            (folder / "pictures" / f"{n:06}{end}.jpg").write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())
    refinement = {"removed": gone, "variants": [gone[:2]], "known_bad": [], "suspects": gone[:1]}
    record = SUSPECTS.model_dump() if suspects else None
    text = json.dumps(
        {"images": images, "refinement": refinement, "suspects": record, "warnings": ["30 images are few"]}
    )
    (folder / "dossier.json").write_text(text)
    return engine


def with_question(engine: Path, target: Path) -> Path:
    """The same engine, which left images out that look alike, and one that stands for defects."""
    plain = read_bundle(engine)
    found = PossibleVariants(images=(8,), rejected_share_if_good=0.1, review_share_if_good=0.2)
    detection = detection_of(*KINDS[:5])
    draft = plain.manifest.model_copy(
        update={"possible_variants": found, "detection": detection, "suspects": SUSPECTS, "map_score": None}
    )
    write_bundle(target, draft=draft, model=plain.model, golden=plain.golden)
    return target


def fill_store(folder: Path, work: Path, *, width: int = WIDTH, height: int = HEIGHT) -> EngineStore:
    """Three versions: the active one, a candidate of a refresh, and one about which nobody has decided."""
    store = EngineStore(folder)
    first = write_small_engine(work / "first", width=width, height=height, detection=detection_of(*KINDS[:4]))
    store.activate(store.add(first, why="first"), why="first engine")
    second = write_small_engine(work / "second", width=width, height=height, reject_score=200.0)
    write_dossier(second)
    report = work / "report"
    report.mkdir()
    report.joinpath("comparison.json").write_text(json.dumps(COMPARISON))
    report.joinpath("changed").mkdir()
    report.joinpath("changed", "0001.jpg").write_bytes(
        cv2.imencode(".jpg", np.full((40, 60), 90, np.uint8))[1].tobytes()
    )
    parts = {"training": [f"s1/{n}" for n in range(1, 31)], "held_out": []}
    report.joinpath("parts.json").write_text(json.dumps(parts))
    store.add(second, why="refresh from 30 recent parts", extras={"refresh": report})
    store.add(write_dossier(with_question(second, work / "third"), suspects=True), why="taught")
    return store


def _figures(engine_id: str, failed: int) -> dict[str, object]:
    return {
        "engine_id": engine_id, "good_failed": failed, "good_in_review": 2, "good": 120, "labelled_good_failed": 1,
        "labelled_good": 14, "defective_passed": 0, "defective": 6, "auroc": 0.991,
    }  # fmt: skip


def _changed(number: int, before: str, after: str, group: str = "passed") -> dict[str, object]:
    return {
        "part_id": str(1000 + number), "key": f"s1/{number}", "group": group, "camera": "top",
        "active": {"verdict": before, "score": 0.62}, "candidate": {"verdict": after, "score": 0.41},
    }  # fmt: skip


COMPARISON = {
    "held_out": {"passed": 120, "labelled defective": 6},
    "candidate": _figures("b" * 64, 3),
    "active": _figures("a" * 64, 9),
    "agreement": 0.955,
    "rank_correlation": 0.93,
    "changed": [
        _changed(2, "FAIL", "PASS", "labelled defective"),
        _changed(3, "FAIL", "PASS"),
        _changed(4, "REVIEW", "PASS"),
        _changed(5, "PASS", "REVIEW"),
    ],
    "seen_by_active": 0,
    "notes": ["Only 6 labelled defects: escapes are hardly known.", "<b>text of others</b>"],
}


@contextmanager
def serving_with_store(folder: Path) -> Iterator[Pages]:
    """The pages of a station with that store; its daemon does not run."""
    with serving(folder, store=True) as pages:
        pages.record(some_parts())
        assert pages.site.station.engine_store is not None
        fill_store(pages.site.station.engine_store, folder)
        yield pages
