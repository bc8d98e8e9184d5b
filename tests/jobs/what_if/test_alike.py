"""Parts of one kind get one verdict: the short way says of random parts what the long way says of each of them."""

from __future__ import annotations

import json
import math
import random
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engines.bundle.manifest import Manifest
from engines.bundle.picture_bands import EVERY_CAMERA, PictureBand, PictureBands, ValueBand
from engines.bundle.reading import read_manifest
from station.configuration.load import LoadedConfiguration
from station.jobs.what_if import asking
from station.jobs.what_if.asking import what_if
from station.jobs.what_if.figures import Note, Outcome, Replayed, outcome_of
from station.jobs.what_if.rows import Judge, replay
from station.labels.labels import read_labels
from station.labels.schema import labels_beside
from station.records.schema import DATABASE_FILE, open_reader
from station.records.selection import Selection, page_of
from tests.bench.many_parts import fill
from tests.jobs.what_if.world import World, world

CAMERAS = ("top", "side", "back")
COUNT = 800
CUTS = {
    "score": (0.3, 0.41, 0.5, 0.55, 0.7),
    "mean_grey": (20.0, 30.5, 64.0, 180.0),
    "saturated_share": (0.001, 0.02, 0.3),
    "sharpness": (5.0, 10.0, 55.0),
}
BANDS = PictureBands(
    cameras={
        name: PictureBand(
            images=50, independent=20.0, grey=ValueBand(low=20.0, high=180.0), saturated=ValueBand(high=0.3),
            sharpness=ValueBand(low=0.01),
        )
        for name in (EVERY_CAMERA, "top")
    },
    outside_share=0.01, confidence=0.9, without_model=0.05,
)  # fmt: skip
REGION = {
    "area_mm2": 4.0, "length_mm": 3.0, "centre_px": [80.0, 64.0], "box_px": [70, 54, 20, 20], "peak_score": 0.7,
    "contour_px": [],
}  # fmt: skip
RULES = (
    "",
    '[views]\nrule = "k_of_n"\nk = 2\n',
    '[views]\nrule = "weighted"\n[decision.views.top]\nweight = 0.6\n[decision.views.side]\nweight = 0.4\n',
)
CAMERA = '[cameras.{0}]\nproducer = "simtl"\nserial_number = "{0}"\n'
INSERT = """INSERT INTO views (part, camera, frame_id, verdict, reasons, score, defect_area_mm2, region_count, regions,
        mean_grey, saturated_share, sharpness) VALUES (:part, :camera, 1, :verdict, :reasons, :score, :area,
        :region_count, :regions, :mean_grey, :saturated_share, :sharpness)"""
SETS = (
    ("decision.reject_score=0.55",),
    ("decision.reject_score=0.3", "decision.review_score=0.3"),
    ("decision.review_score=0.41", "decision.reject_score=0.7"),
    ("quality.min_mean_grey=30.5", "quality.min_sharpness=10.0"),
    ("quality.max_saturated_share=0.02", 'quality.action="fail"', "quality.max_mean_grey=64.0"),
    ("quality.as_taught=false",),
    ("decision.limits.fail_length_mm=2.5", "decision.limits.review_count=1", "decision.reject_score=0.7"),
)


def near(draw: random.Random, cuts: tuple[float, ...]) -> float | None:
    """A value at a limit, a hair beside it, somewhere, or none."""
    cut = draw.choice(cuts)
    beside = (math.nextafter(cut, 0), cut, math.nextafter(cut, 1000), draw.uniform(0, 2 * cut), draw.uniform(0, cut))
    return draw.choice((*beside, *beside, *beside, None if draw.random() < 0.2 else cut))


def scribble(made: World, seed: int) -> None:
    """Random parts of one to three cameras; some late, of other engines, not located, or with regions."""
    draw = random.Random(seed)
    records = made.now.records_dir
    fill(records, COUNT, engine_id=made.engine_id, config_checksum=made.now.checksum)
    with closing(sqlite3.connect(records / DATABASE_FILE)) as connection, connection:
        recipe = (made.now.settings.recipe.name, made.now.recipe_checksum)
        connection.execute("UPDATE parts SET recipe = ?, recipe_checksum = ?", recipe)
        connection.execute("UPDATE parts SET late = 1 WHERE id % 97 = 3")
        connection.execute("UPDATE parts SET engine_id = 'another' WHERE id % 89 = 5")
        connection.execute("UPDATE parts SET config_checksum = 'unknown' WHERE id % 83 = 7")
        connection.execute("DELETE FROM views")
        for part in range(1, COUNT + 1):
            cameras = (*CAMERAS, "gone") if draw.random() < 0.02 else CAMERAS
            for camera in draw.sample(cameras, draw.choice((1, 1, 2, 3))):
                count = draw.choice((0, 0, 0, 1, 2))
                code = draw.choice((10, 10, 10, 11, 22, 24))
                verdict = draw.choice(("PASS", "PASS", "FAIL", "REVIEW"))
                reasons = [] if verdict == "PASS" else [{"code": code, "detail": f"{draw.random()}"}]
                values = {
                    "part": part, "camera": camera, "verdict": verdict, "reasons": json.dumps(reasons),
                    "regions": json.dumps([REGION] * min(count, draw.choice((1, 2)))), "region_count": count,
                    "area": 9.0 * count,
                } | {name: near(draw, cuts) for name, cuts in CUTS.items()}  # fmt: skip
                connection.execute(INSERT, values)


def the_long_way(before: LoadedConfiguration, after: LoadedConfiguration, manifest: Manifest) -> Outcome:
    """Every part by itself, from its whole row."""
    labels = {(one.session, one.acquisition_id): one.label for one in read_labels(labels_beside(before.records_dir))}
    notes: Counter[Note] = Counter()
    judges = Judge.of(before.settings, manifest), Judge.of(after.settings, manifest)
    shapes = asking._shapes(before, manifest)
    measured = asking._MeasuredAlike(before)
    replayed = []
    with closing(open_reader(before.records_dir)) as connection:
        for _, part in page_of(connection, Selection(recipe=before.settings.recipe.name, production=True), 10 * COUNT):
            if part.engine_id != manifest.engine_id:
                notes["other engine"] += 1
            elif not measured.alike((part.config_checksum, part.recipe_checksum)):
                notes["measured otherwise"] += 1
            else:
                replayed.append(replay(part, *judges, shapes, notes))
    return outcome_of(replayed, labels, notes, from_images=False)


@pytest.mark.parametrize("taught", [False, True])
@pytest.mark.parametrize("rule", RULES)
def test_kinds_of_parts_get_the_verdict_that_each_part_gets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str, taught: bool
) -> None:
    made = world(tmp_path, CAMERA.format("side") + CAMERA.format("back") + rule)
    scribble(made, seed=RULES.index(rule))
    for number in range(1, 200, 7):
        made.label(number, "good" if number % 2 else "defective", session="week0")
    manifest = read_manifest(tmp_path / "engine")
    if taught:
        manifest = manifest.model_copy(update={"picture_bands": BANDS})
        monkeypatch.setattr(asking, "read_manifest", lambda _folder: manifest)
    monkeypatch.setattr(asking, "A_LOOK", 400)
    before = made.now
    changes = 0
    for sets in SETS:
        after = made.proposed(*sets)
        found = what_if(before, after, newest=10 * COUNT, on_step=lambda *_: None)
        assert found == the_long_way(before, after, manifest), sets
        changes += found.changed_parts
    assert changes > 200, "something was tried"
    assert found.parts > COUNT / 2


def test_fifty_thousand_parts_are_a_few_kinds(tmp_path: Path) -> None:
    """What it costs does not rest on the machine: how many parts are decided one by one."""
    made = world(tmp_path)
    records = made.now.records_dir
    fill(records, 50_000, engine_id=made.engine_id, config_checksum=made.now.checksum)
    with closing(sqlite3.connect(records / DATABASE_FILE)) as connection, connection:
        recipe = (made.now.settings.recipe.name, made.now.recipe_checksum)
        connection.execute("UPDATE parts SET recipe = ?, recipe_checksum = ?", recipe)
    decided = 0

    def counting(*given: Any) -> Replayed:
        nonlocal decided
        decided += 1
        return replay(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asking, "replay", counting)
        found = made.ask("decision.reject_score=0.3", newest=50_000)
    assert found.parts > 49_000
    assert decided < 50
