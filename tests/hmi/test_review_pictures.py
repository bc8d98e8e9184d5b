"""Pictures of Review: made once, for whoever asks at the same time too, within a budget and for a while."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from station.hmi.review.pictures import KEPT_S, KeptPictures
from station.line.recording.stage import Recorder, RecorderSettings
from station.records.parts import PartRow, parts
from station.records.schema import open_reader
from station.reports.seen import Eyes, Seen
from station.results import Verdict
from tests.bench.sample_parts import PartMaker

PARTS = 4


class Counting(Eyes):
    """Says which parts were decoded."""

    def __init__(self, records: Path) -> None:
        super().__init__(records)
        self.looked: list[int] = []

    def look(self, part: PartRow, **how: Any) -> Seen:
        self.looked.append(part.acquisition_id)
        return super().look(part, **how)


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[list[PartRow]]:
    recorder = Recorder(RecorderSettings(tmp_path, pass_image_share=1.0, min_free_mb=0), "s1")
    recorder.start()
    for number in range(1, PARTS + 1):
        recorder.record(PartMaker().inspected(number, Verdict.REVIEW))
    assert recorder.stop(20)
    with closing(open_reader(tmp_path)) as connection:
        yield list(parts(connection))


def test_a_part_is_decoded_once_for_its_page_and_pictures(tmp_path: Path, rows: list[PartRow]) -> None:
    eyes = Counting(tmp_path)
    kept = KeptPictures(eyes, 400)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(kept.of, [rows[0]] * 8 + [rows[1]] * 8))
    assert sorted(eyes.looked) == [1, 2]
    assert all(views is found[0] for views in found[:8])
    (view,) = found[0]
    assert view.image is not None
    assert view.image.startswith(b"\xff\xd8")
    assert (view.heated, view.why_no_image) == (None, "")
    assert view.why_no_heat


def test_the_budget_lets_the_one_go_that_was_not_seen_for_longest(tmp_path: Path, rows: list[PartRow]) -> None:
    eyes = Counting(tmp_path)
    size = sum(view.size for view in KeptPictures(eyes, 400).of(rows[0]))
    kept = KeptPictures(eyes, 400, most_bytes=round(2.5 * size))
    eyes.looked.clear()
    for row in (rows[0], rows[1], rows[0], rows[2], rows[0], rows[1]):
        kept.of(row)
    assert eyes.looked == [1, 2, 3, 2]


def test_after_a_while_it_is_made_anew(tmp_path: Path, rows: list[PartRow]) -> None:
    eyes, now = Counting(tmp_path), [0.0]
    kept = KeptPictures(eyes, 400, clock=lambda: now[0])
    for now[0] in (0.0, KEPT_S, KEPT_S + 1):
        kept.of(rows[0])
    assert eyes.looked == [1, 1]


def test_an_image_that_cannot_be_read_is_asked_for_again(tmp_path: Path, rows: list[PartRow]) -> None:
    eyes = Counting(tmp_path)
    kept = KeptPictures(eyes, 400)
    path = rows[0].views[0].image_path
    assert path is not None
    file = tmp_path / path
    data = file.read_bytes()
    file.write_bytes(b"")
    assert kept.of(rows[0])[0].image is None
    file.write_bytes(data)
    assert kept.of(rows[0])[0].image is not None
