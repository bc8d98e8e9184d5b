"""A short teaching on real bottles: far fewer images and steps than for production, and yet defects are seen."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from engines.engine import open_engine
from engines.training.dataset import read_image
from engines.training.teach import TeachOptions, teach
from engines.training.train import TrainOptions

ROOT = Path(__file__).resolve().parents[2]
BOTTLE = Path(os.environ.get("STATION_DATASETS", ROOT.parent / "shared" / "datasets")) / "mvtec_ad" / "bottle"


@pytest.mark.datasets
@pytest.mark.skipif(not BOTTLE.is_dir(), reason=f"no images in {BOTTLE}; set STATION_DATASETS")
def test_bottles(tmp_path: Path) -> None:
    taught = tmp_path / "images"
    taught.mkdir()
    for file in sorted((BOTTLE / "train" / "good").iterdir())[::4]:
        (taught / file.name).symlink_to(file)
    teach(taught, tmp_path / "engine", TeachOptions(training=TrainOptions(steps=15)), lambda *_: None)
    scores = {}
    with open_engine(tmp_path / "engine") as engine:
        for kind in ("good", "broken_large", "contamination"):
            files = sorted((BOTTLE / "test" / kind).iterdir())[:10]
            scores[kind] = np.array([engine.score(read_image(file)).image_score for file in files])
        limits = engine.calibration
    assert (scores["good"] > limits.reject_score).sum() <= 1
    for kind in ("broken_large", "contamination"):
        assert (scores[kind] > limits.review_score).mean() >= 0.9  # few images make the limits careful
        assert scores[kind].mean() > scores["good"].max()
