"""A small picture of every part whose verdict changes lies beside the candidate."""

from __future__ import annotations

from pathlib import Path

import cv2

from station.jobs.candidate import changed
from station.jobs.comparison import Changed, Judged
from station.records.images import encode_png
from tests.bench.engines.pictures import ring


def test_every_part_that_can_be_read_has_its_picture(tmp_path: Path) -> None:
    parts = [
        Changed("", f"s1/{number}", "passed", Judged("PASS", 0.1), Judged("FAIL", 0.9), "top") for number in range(4)
    ]
    for number in (0, 1):
        (tmp_path / f"{number}.png").write_bytes(encode_png(ring(number)))
    (tmp_path / "2.png").write_bytes(b"no picture")
    images = {(f"s1/{number}", "top"): tmp_path / f"{number}.png" for number in (0, 1, 2)}
    changed.keep(tmp_path, parts, images)
    found = sorted(file.name for file in (tmp_path / changed.FOLDER).iterdir())
    assert found == ["0000.jpg", "0001.jpg"]
    picture = cv2.imread(str(tmp_path / changed.FOLDER / "0000.jpg"))
    assert picture is not None
    assert max(picture.shape[:2]) <= changed.SIDE_PX
