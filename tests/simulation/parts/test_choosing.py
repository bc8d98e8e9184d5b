"""Which parts come: from the seed, in the shares that were asked for."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.simulation.parts import choosing
from station.simulation.parts.pictures import GOOD, Canvas, LabelledImage
from station.simulation.parts.rendered import DEFECTS
from station.simulation.parts.schedule import LineSchedule, ScheduledPart, load_schedule
from station.simulation.plant.plc_signals import TriggerMode

IMAGES = [LabelledImage(Path(f"/x/{kind}/{n}.png"), kind) for kind, count in (("good", 20), ("a", 6), ("b", 3)) for n in range(count)]  # fmt: skip # noqa: E501


def test_rendered_parts_hold_some_hidden_defects_to_teach_and_every_kind_to_find() -> None:
    parts = choosing.rendered(100, 60, seed=3)
    assert [part.serial for part in parts] == list(range(1, 161))
    taught, inspected = parts[:60], parts[60:]
    assert {part.phase for part in taught} == {"teach"}
    assert {part.phase for part in inspected} == {"inspect"}
    assert sum(part.truth != GOOD for part in taught) == 3
    assert Counter(part.truth for part in inspected) == {GOOD: 75} | {
        kind: 7 if index == 0 else 6 for index, kind in enumerate(DEFECTS)
    }
    assert len({part.seed for part in parts}) == 160
    assert parts == choosing.rendered(100, 60, seed=3)
    assert parts != choosing.rendered(100, 60, seed=4)


def test_on_a_fast_line_parts_look_alike_now_and_then_but_like_none_that_is_taught() -> None:
    parts = choosing.rendered(1000, 60, seed=3, repeat=True)
    assert [part.serial for part in parts] == list(range(1, 1061))
    looks = {(part.truth, part.seed) for part in parts[60:]}
    assert len(looks) == choosing.LOOKS * (1 + len(DEFECTS))
    assert len({part.seed for part in parts[:60]}) == 60
    assert {part.seed for part in parts[:60]}.isdisjoint(seed for _, seed in looks)


def test_every_image_once_by_default() -> None:
    parts = choosing.from_images(IMAGES, None, seed=0)
    assert sorted(part.image for part in parts) == sorted(str(image.path) for image in IMAGES)
    assert [part.image for part in parts] != [str(image.path) for image in IMAGES], "the order is random"


@given(count=st.integers(1, 100), seed=st.integers(0, 5))
def test_each_kind_has_its_share(count: int, seed: int) -> None:
    parts = choosing.from_images(IMAGES, count, seed)
    assert [part.serial for part in parts] == list(range(1, count + 1))
    kinds = Counter(part.truth for part in parts)
    for kind, total in Counter(image.truth for image in IMAGES).items():
        assert abs(kinds[kind] - count * total / len(IMAGES)) < 1
    most = max(Counter(part.image for part in parts).values())
    assert most == -(-count // len(IMAGES)), "no image comes again before all have come"


def test_plan_comes_back_from_its_file(tmp_path: Path) -> None:
    parts = choosing.rendered(3, 20, seed=1)
    schedule = LineSchedule(Canvas(8, 6, 1), parts, 4.0, 1.5, "/tmp/scene", "127.0.0.1", 1502, trigger=TriggerMode.PLC)
    schedule.save(tmp_path / "schedule.json")
    assert load_schedule(tmp_path / "schedule.json") == schedule


@pytest.mark.parametrize("good_images", [(), ("a.png", "b.png", "c.png")])
def test_each_camera_sees_a_face_of_its_own_and_one_of_them_the_defect(
    tmp_path: Path, good_images: tuple[str, ...]
) -> None:
    names = []
    for number, name in enumerate(good_images):
        names.append(str(tmp_path / name))
        assert cv2.imwrite(names[-1], np.full((8, 8, 3), 50 + number, np.uint8))
    bad = tmp_path / "bad.png"
    assert cv2.imwrite(str(bad), np.full((8, 8, 3), 200, np.uint8))
    image = str(bad) if good_images else ""
    part = ScheduledPart(4, "inspect", "scratch", image=image, seed=4)
    schedule = LineSchedule(
        Canvas(448, 448, 3), (part,), 4.0, 1.5, "/tmp/scene", "127.0.0.1", 1502, cameras=3, good_images=tuple(names)
    )
    faces = schedule.pictures(part)
    assert len(faces) == 3
    defective = [index for index, face in enumerate(faces) if np.array_equal(face, part.pixels(schedule.canvas))]
    assert defective == [1]  # serial 4 of 3 faces
    assert not np.array_equal(faces[0], faces[2])
    schedule.save(tmp_path / "schedule.json")
    assert load_schedule(tmp_path / "schedule.json") == schedule
