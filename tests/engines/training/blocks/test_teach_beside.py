"""A teaching beside the block of an engine, from beginning to end: nothing is forgotten, and images count once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from engines.bundle.reading import read_bundle
from engines.engine import open_engine
from engines.training.__main__ import main
from engines.training.blocks.kept import names_in
from tests.bench.engines.pictures import ring, write_rings

pytestmark = pytest.mark.system

COUNT = 24


def test_an_engine_learns_beside_the_block_of_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_rings(tmp_path / "a", COUNT)
    write_rings(tmp_path / "b", COUNT, first_seed=800)
    shutil.copyfile(sorted((tmp_path / "a").iterdir())[0], tmp_path / "b" / "again.png")  # it counts in its block

    def teach(images: str, engine: str, *more: str) -> int:
        return main(
            ["--images", str(tmp_path / images), "--output", str(tmp_path / engine), "--steps", "0", "--threads", "1",
             "--defect-trials", "0", "--reference-pictures", "0", "--location", "none", "--progress", "none", *more]
        )  # fmt: skip

    blocks = str(tmp_path / "first" / "dossier" / "blocks")
    assert teach("a", "first", "--block", "A") == 0
    assert teach("b", "both", "--block", "B", "--earlier", blocks) == 0
    assert names_in(tmp_path / "both" / "dossier" / "blocks") == ["A", "B"]
    first, both = (read_bundle(tmp_path / name).manifest for name in ("first", "both"))
    new = both.calibration.holdout_count - first.calibration.holdout_count
    assert COUNT - 3 <= new <= COUNT
    with open_engine(tmp_path / "both") as engine:
        limit = engine.calibration.reject_score
        assert engine.score(ring(2000, scratch=True)).image_score > limit
        assert sum(engine.score(ring(seed)).image_score > limit for seed in (1, 2, 3, 801, 802, 803)) <= 1
    assert teach("b", "wrong", "--earlier", blocks, "--without", "C") == 2
    assert 'block "C" is not in' in capsys.readouterr().err
