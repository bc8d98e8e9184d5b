"""`station show` and `station sheet`: everything that there is of a part, and in words what there is not."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest

from engines.bundle.reading import read_manifest
from engines.overlay import HEAT
from station.records.schema import DATABASE_FILE
from station.results import InspectionRecord, Region, Scores, Verdict
from tests.bench.engines.good_pictures import keep_reference
from tests.bench.engines.small_engine import write_small_engine
from tests.bench.sample_parts import PartMaker
from tests.commands.records.conftest import Station, at, record

SPOT = (slice(2, 4), slice(4, 6))
"""Cells of the map, 8 x 8 over 64 x 64 px, that are above the limit."""
REGION = Region(1.5, 2.25, (40.0, 24.0), (32, 16, 16, 16), 0.75, ((32, 16), (47, 16), (47, 31), (32, 31)))
ZONES = """
[decision.limits]
fail_area_mm2 = 1.0

[[decision.zones]]
name = "<b>rim</b>"
polygon = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.3]]
ignore = true
"""


def grey(_: int) -> np.ndarray:
    return np.full((64, 64, 3), 120, np.uint8)


def seen(engine_id: str, number: int, *, hot: float, session: str = "s1") -> InspectionRecord:
    """A part whose map is far below the limit but for one spot."""
    made = PartMaker(session, pixels=grey).inspected(number, Verdict.FAIL)
    anomaly_map = np.full((8, 8), 1.0, np.float32)
    anomaly_map[SPOT] = hot
    (view,) = made.views
    assert view.measurement is not None
    regions = replace(view.measurement.regions, listed=(REGION,))
    scores = Scores(40.0, anomaly_map, view.frame.trigger_time_ns, view.decided_ns)
    view = replace(view, scores=scores, measurement=replace(view.measurement, regions=regions))
    return at(replace(made, views=(view,)), number, engine_id=engine_id)


@pytest.fixture
def with_engine(station: Station) -> Station:
    """Part 1051 was judged by the engine that is there, 1052 by one that is gone; the older 1052 has the same id."""
    folder = write_small_engine(station.config.parent / "engine", width=64, height=64)
    engine_id = read_manifest(folder).engine_id
    record(station.records, [seen("f" * 64, 52, hot=90.0, session="s0")], "s0")
    record(
        station.records, [seen(engine_id, 51, hot=90.0, session="s2"), seen("a" * 64, 52, hot=90.0, session="s2")], "s2"
    )
    station.capsys.readouterr()
    return station


def test_a_part_in_words(with_engine: Station) -> None:
    with_engine.config.write_text(with_engine.config.read_text() + ZONES)
    out = with_engine.said("show", 1051)
    for text in (
        "part 1051: FAIL, score 0.500, limit 0.400",
        "anomaly score above the reject limit: detail",
        "region 1: 1.50 mm², 2.2 mm long, peak 0.750",
        "limits: fail_area_mm2 1",
        "zone <b>rim</b>: ignored",
        "they have changed since this part was judged",
        "shift night 2026-10-26",
    ):
        assert text in out, text
    assert "no heat map" not in out


def test_the_picture_has_colour_where_the_map_is_above_the_limit_and_nowhere_else(with_engine: Station) -> None:
    picture = with_engine.config.parent / "part.png"
    assert f"drawn: {picture}" in with_engine.said("show", 1051, "--output", picture)
    drawn = cv2.imread(str(picture))
    assert drawn is not None
    top = int(np.argmax((drawn == 120).all(axis=2).sum(axis=1) > 1500))
    right = drawn[top : top + 940, 1040:1980, ::-1].astype(int)  # 470 units, twice as many px
    assert right.shape == (940, 940, 3)
    is_coloured = np.ptp(right, axis=2) > 25
    rows, columns = np.nonzero(is_coloured)
    assert 200 < rows.mean() < 500
    assert 470 < columns.mean() < 720
    assert not is_coloured[600:].any()
    assert not is_coloured[:, :400].any()
    assert HEAT[-1][1][0] < right[rows, columns].mean(axis=0)[0]


def test_a_page_is_whole_and_holds_what_others_wrote_as_text(with_engine: Station) -> None:
    with_engine.config.write_text(with_engine.config.read_text() + ZONES)
    file = with_engine.config.parent / "part.html"
    with_engine.said("show", 1051, "--output", file)
    text = file.read_text()

    class Page(HTMLParser):
        tags: list[str]

        def __init__(self) -> None:
            super().__init__()
            self.tags = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.tags.append(tag)

    page = Page()
    page.feed(text)
    assert page.tags.count("image") == 3, "both pictures and the legend"
    assert set(page.tags) & {"script", "b:rim", "link", "iframe"} == set()
    assert "&lt;b&gt;rim&lt;/b&gt;" in text
    assert not re.search(r'(href|src)="(?!data:image/jpeg)', text)
    with_engine.said("show", 1051, "--output", file.with_suffix(".svg"))
    assert ElementTree.parse(file.with_suffix(".svg")).getroot().tag.endswith("svg")


def test_a_page_shows_the_same_place_of_the_nearest_good_parts(with_engine: Station) -> None:
    file = with_engine.config.parent / "part.html"
    with_engine.said("show", 1051, "--output", file)
    assert "keeps no pictures of good parts" in file.read_text()
    keep_reference(with_engine.config.parent / "engine", [grey(0), grey(1)])
    with_engine.said("show", 1051, "--output", file)
    text = file.read_text()
    assert "The nearest of 2 good parts" in text
    assert text.count("<image") == 7, "both pictures, the place on this and on two good parts, difference, legend"
    with_engine.said("show", 1052, "--output", file)
    assert "is no longer on this station, and its pictures" in file.read_text()


def test_what_is_not_there_is_said(with_engine: Station) -> None:
    assert "no heat map: engine aaaaaaaaaaaa is not on this station" in with_engine.said("show", 1052)
    assert "the image was not kept: of PASS, only" in with_engine.said("show", 1001)
    assert "no view of this part is on record" in with_engine.said("show", 1004)
    (image,) = with_engine.records.glob("images/*/*-000051-FAIL-top.png")
    (anomaly_map,) = with_engine.records.glob("images/*/*-000051-FAIL-top.map.png")
    anomaly_map.unlink()
    assert "the heat map is gone: images/" in with_engine.said("show", 1051)
    image.write_bytes(b"no image")
    assert "the image cannot be read: images/" in with_engine.said("show", 1051)
    image.unlink()
    picture = with_engine.config.parent / "part.png"
    assert "the image is gone: images/" in with_engine.said("show", 1051, "--output", picture)
    assert picture.stat().st_size
    for columns, said in (
        ("image_path = NULL, image_deleted = 1", "deleted to make room"),
        ("image_path = NULL, image_deleted = 0, image_skipped = 'disk\x1b full'", r"was not stored: disk\x1b full"),
        ("image_path = '../../station.toml'", "the image is gone"),
    ):
        with closing(sqlite3.connect(with_engine.records / DATABASE_FILE)) as connection, connection:
            connection.execute(f"UPDATE views SET {columns}")
        assert said in with_engine.said("show", 1051)


def test_a_number_that_several_parts_have_is_the_newest_and_the_others_are_named(with_engine: Station) -> None:
    out = with_engine.said("show", 1052)
    assert "session s2, acquisition 52" in out
    assert "--session s0\n" in out
    older = with_engine.said("show", *["52", "--acquisition", "--session", "s0"])
    assert "session s0, acquisition 52" in older
    assert "part 1052: FAIL" in with_engine.said("show", "last")


def test_records_can_be_seen_without_a_configuration(with_engine: Station, tmp_path: Path) -> None:
    copy = with_engine.config.rename(tmp_path / "elsewhere.toml")
    out = with_engine.said("show", 1051, "--records", with_engine.records)
    assert "Limits and zones are not known: there is no configuration." in out
    assert "no heat map: engine" in out
    copy.rename(with_engine.config)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "x"), 'PART "x" is neither a whole number nor "last"'),
        (("show", "-1"), 'PART "-1" is neither'),
        (("show", "9" * 30), "neither a whole number"),
        (("show", 7), "no part with part id 7 is on record; --acquisition takes"),
        (("show", 1001, "--session", "s9"), "no part with part id 1001 in session s9"),
        (("show", 1001, "--output", "part.jpg"), "the name must end in .svg, .png, .html"),
        (("show", 1001, "--output", "/nowhere/part.png"), "--output /nowhere/part.png: No such file"),
        (("sheet", "--output", "sheet.html"), "the name must end in .svg or .png"),
        (("sheet", "--output", "/nowhere/sheet.png"), "--output /nowhere/sheet.png: No such file"),
        (("sheet", "--output", "sheet.png", "--limit", 99), "a sheet holds at most 60 parts"),
    ],
)
def test_bad_input_is_a_sentence(words: tuple[object, ...], said: str, station: Station) -> None:
    assert said in station.refused(*words)


def test_a_sheet_shows_what_parts_selects(with_engine: Station) -> None:
    picture = with_engine.config.parent / "sheet.png"
    out = with_engine.said("sheet", "--output", picture)
    assert out == f"{picture}: 9 parts, 2 of them without a picture\n"
    drawn = cv2.imread(str(picture))
    assert drawn is not None
    assert drawn.shape[1] < 2100
    one = with_engine.said("sheet", "--reason", "region_area", "--output", picture)
    assert "1 parts" in one
    assert with_engine.said("sheet", "--recipe", "none", "--output", picture) == f"{picture}: 0 parts\n"
