"""The nearest good parts on the page of a part and in the review: shown where the engine keeps some, said where not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.bundle.reading import read_manifest
from engines.bundle.reference import picture_name
from station.results import Verdict
from tests.bench.engines.good_pictures import keep_reference
from tests.bench.engines.pictures import ring
from tests.bench.engines.small_engine import write_small_engine
from tests.bench.pages import Client, Pages, serving
from tests.bench.sample_parts import PartMaker

KINDS = ("place", "good-1", "good-2", "good-3", "difference")


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    return write_small_engine(tmp_path / "station" / "engine", width=96, height=96)


@pytest.fixture
def pages(tmp_path: Path, engine: Path) -> Iterator[Pages]:
    """One part that waits for a person, judged by the engine that is there."""
    with serving(tmp_path / "station") as pages:
        part = PartMaker(pixels=lambda _: ring(7, scratch=True)).inspected(2, Verdict.REVIEW)
        pages.record([replace(part, engine_id=read_manifest(engine).engine_id)])
        yield pages


@pytest.fixture
def operator(pages: Pages) -> Client:
    return pages.client("operator")


def test_an_engine_without_pictures_says_so_calmly(operator: Client) -> None:
    text = operator.get("/parts/s1/2").text
    assert "keeps no pictures of good parts" in text
    assert "bewahrt keine Bilder guter Teile auf" in operator.get("/parts/s1/2", **{"Accept-Language": "de"}).text
    assert 'class="near"' not in operator.get("/review").text
    assert operator.get("/parts/s1/2/top/good-1.jpg").status == 404


def test_both_pages_show_the_same_place_of_three_good_parts(engine: Path, operator: Client) -> None:
    keep_reference(engine, [ring(seed) for seed in range(6)])
    shown = {}
    for path, address in (("/parts/s1/2", r"/parts/s1/2/top/([a-z0-9-]+)\.jpg"), ("/review", r"layer=([a-z0-9-]+)")):
        text = operator.get(path).text
        near = text[text.index('class="near"') :]
        addresses = [found.replace("&amp;", "&") for found in re.findall(r'src="([^"]+)"', near)[: len(KINDS)]]
        assert tuple(re.search(address, each).group(1) for each in addresses) == KINDS  # type: ignore[union-attr]
        assert "The nearest of 6 good parts" in near
        shown[path] = [operator.get(each).body for each in addresses]
    for body in (body for bodies in shown.values() for body in bodies):
        assert cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR) is not None
    assert len(set(shown["/review"])) == len(KINDS)
    assert operator.get("/parts/s1/2/top/good-4.jpg").status == 404


def test_damaged_pictures_are_said_and_nothing_else_is_lost(engine: Path, operator: Client) -> None:
    keep_reference(engine, [ring(seed) for seed in range(6)])
    (engine / picture_name(3)).write_bytes(b"no picture")
    got = operator.get("/parts/s1/2")
    assert (got.status, "are damaged, so none are shown" in got.text) == (200, True)
    assert "damaged or changed" not in got.text, "the path is for maintenance"
    assert operator.get("/review").status == 200
    keep_reference(engine, [ring(seed) for seed in range(6)])
    assert 'class="near"' in operator.get("/parts/s1/2").text, "restored while the pages run"


def test_a_part_that_is_not_in_its_picture_any_more_is_said(engine: Path, pages: Pages, operator: Client) -> None:
    keep_reference(engine, [ring(0)])
    (image,) = pages.site.records.glob("images/*/*-REVIEW-top.png")
    image.unlink()
    assert "There is no picture of this part" in operator.get("/parts/s1/2").text
