"""A teaching beside the blocks of an engine, from beginning to end: nothing is forgotten, what is left out is gone."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from engines.bundle.manifest import Manifest
from engines.bundle.reading import read_bundle
from engines.engine import open_engine
from engines.teach_request import TeachRequest
from engines.training.blocks.kept import names_in
from station.jobs.process import JobError
from station.jobs.teaching import teach
from tests.bench.engines.pictures import ring, write_rings
from tests.bench.engines.taught import Taught, taught_on_rings

pytestmark = pytest.mark.system

NEW, SHARED = 24, 3


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Taught:
    return taught_on_rings(tmp_path_factory)


def manifest_of(engine: Path) -> Manifest:
    return read_bundle(engine).manifest


def test_an_engine_learns_beside_the_blocks_of_another_and_without_one_of_them(taught: Taught, tmp_path: Path) -> None:
    first = taught.result.engine / "dossier" / "blocks"
    (day,) = names_in(first)
    images, cache = tmp_path / "new", tmp_path / "cache"
    write_rings(images, NEW, first_seed=800)
    for file in sorted(taught.images.iterdir())[:SHARED]:  # they are in the block: they count there
        shutil.copyfile(file, images / f"again-{file.name}")
    plain = TeachRequest(
        steps=0, threads=1, defect_trials=0, cache=cache, ignore=taught.request.ignore, location="none", block="B"
    )
    beside = replace(plain, earlier=first)
    both = teach(images, tmp_path / "both", beside).engine
    assert names_in(both / "dossier" / "blocks") == [day, "B"]
    held_out = manifest_of(taught.result.engine).calibration.holdout_count
    assert held_out + NEW - 3 <= manifest_of(both).calibration.holdout_count <= held_out + NEW
    with open_engine(both) as engine:
        limit = engine.calibration.reject_score
        assert engine.score(ring(2000, scratch=True)).image_score > limit
        assert sum(engine.score(ring(seed)).image_score > limit for seed in (1, 2, 3, 801, 802, 803)) <= 1

    for shared in images.glob("again-*"):
        shared.unlink()
    without = teach(
        images, tmp_path / "without", replace(beside, earlier=both / "dossier" / "blocks", without=f"{day},B")
    )
    never = teach(images, tmp_path / "never", plain)
    assert manifest_of(without.engine).model.sha256 == manifest_of(never.engine).model.sha256
    assert manifest_of(without.engine).calibration == manifest_of(never.engine).calibration

    with pytest.raises(JobError, match='block "C" is not in'):
        teach(images, tmp_path / "wrong", replace(beside, without="C"))
