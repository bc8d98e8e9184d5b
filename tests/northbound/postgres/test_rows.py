"""A part as a row: what PostgreSQL cannot keep is replaced, and which parts have a row does not depend on who asks."""

from __future__ import annotations

import hashlib
import json
import math
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from station.northbound.images.policy import Policy as ImagePolicy
from station.northbound.postgres.rows import COLUMNS, Policy, as_json, clean, engines_of, hashes_of, real, values_of
from station.northbound.postgres.sums import minutes_of
from station.northbound.readings import moment
from station.records.parts import part_row, parts
from station.records.schema import open_reader
from station.results import Verdict
from tests.bench.sample_parts import WALL_TIME, PartMaker
from tests.northbound.images.test_images import record_images

ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=()))
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(ANY_TEXT)
def test_a_text_is_one_that_postgresql_keeps(text: str) -> None:
    kept = clean(text)
    assert "\0" not in kept
    assert kept.encode().decode() == kept
    assert len(kept) == len(text)
    assert all(now in (was, "\ufffd") for was, now in zip(text, kept, strict=True))


@given(VALUES)
def test_json_is_one_that_postgresql_keeps(value: Any) -> None:
    text = as_json(value)
    assert "\\u0000" not in text.replace("\\\\", "")
    json.dumps(json.loads(text), allow_nan=False, ensure_ascii=False).encode()


@given(st.floats())
def test_a_number_fits_into_single_precision(value: float) -> None:
    kept = real(value)
    if not math.isfinite(value):
        assert kept is None
    else:
        assert kept is not None
        assert kept == 0.0 or 1.1e-38 < abs(kept) < 3.41e38
        assert math.copysign(1.0, kept) == math.copysign(1.0, value) or kept == 0.0


@given(st.floats(min_value=0, max_value=4e9))
def test_a_time_is_the_same_whenever_it_is_asked(at: float) -> None:
    assert moment(at) == moment(float(repr(at)))
    assert abs(moment(at).timestamp() - at) < 2e-6


def test_no_clock_is_too_wrong() -> None:
    assert [moment(at).year for at in (-1e300, 0.0, 1e300)] == [1970, 1970, 9999]


@pytest.mark.parametrize(("every", "passed"), [(1, 12), (3, 4), (0, 0), (1000, 0)])
def test_who_has_a_row(every: int, passed: int) -> None:
    make = PartMaker()
    for verdict in Verdict:
        taken = [number for number in range(1, 13) if Policy(every).takes(part_row(make.inspected(number, verdict)))]
        assert len(taken) == (passed if verdict is Verdict.PASS else 12)


@given(share=st.floats(0, 1))
def test_a_part_whose_image_is_sent_has_a_row(share: float) -> None:
    """Without it nobody knows what the image shows."""
    make, images, rows = PartMaker(), ImagePolicy(share), Policy(0, share)
    parts = [part_row(make.inspected(number, verdict)) for verdict in Verdict for number in range(1, 20)]
    assert [rows.takes(row) for row in parts] == [images.wants(row) for row in parts]


def test_a_row_has_a_value_for_each_column() -> None:
    row = replace(part_row(PartMaker().inspected(4, Verdict.FAIL)), extra='{"acknowledged_ms": "12.500", "batch": 7}')
    found = dict(zip(COLUMNS, values_of(row, "ST\0", 9), strict=True))
    assert found["station"] == "ST\ufffd"
    assert (found["verdict"], found["reason"], found["batch"], found["acknowledged_ms"]) == ("FAIL", 10, 7, 12.5)
    assert (found["wall_time"], found["sequence"]) == (moment(WALL_TIME + 4), 9)
    assert json.loads(found["views"])[0]["camera"] == "top"
    assert json.loads(found["reasons"])[0]["code"] == 10


def test_a_row_has_the_hash_of_its_image_as_long_as_there_is_one(tmp_path: Path) -> None:
    make = PartMaker()
    record_images(tmp_path, [make.inspected(number, Verdict.FAIL) for number in (1, 2)])
    first, second = sorted(tmp_path.rglob("*-FAIL-top.png"))
    second.unlink()
    with closing(open_reader(tmp_path)) as connection:
        rows = list(parts(connection))
    hashes = hashes_of(rows, tmp_path)
    kept = [json.loads(dict(zip(COLUMNS, values_of(row, "ST", 1, hashes), strict=True))["views"]) for row in rows]
    found = {row.acquisition_id: views[0]["image_sha256"] for row, views in zip(rows, kept, strict=True)}
    assert found == {1: hashlib.sha256(first.read_bytes()).hexdigest(), 2: None}


def test_engines_and_minutes_of_parts() -> None:
    rows = [replace(part_row(PartMaker().inspected(n, Verdict.PASS)), wall_time=at) for n, at in ((1, 61.0), (2, 59.9))]
    assert engines_of(rows, "s") == [("s", "e" * 64, "default", moment(59.9), moment(61.0))]
    assert minutes_of(rows) == [0, 1]
