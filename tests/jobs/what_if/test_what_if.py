"""What other limits would have made of stored parts: as the line would have decided, and what is not known is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from station.commands import main as cli
from station.jobs.what_if.figures import LISTED, NoEngine
from station.results import Region, Verdict
from tests.bench.bench import HEIGHT, WIDTH, bad, good
from tests.commands.test_json import check_keys
from tests.commands.test_main import INSPECTING, loaded_by
from tests.jobs.what_if.world import World, world

PASS, FAIL, REVIEW = Verdict.PASS, Verdict.FAIL, Verdict.REVIEW
LARGE = Region(4.0, 3.0, (80.0, 64.0), (70, 54, 20, 20), 0.7, ((70, 54), (89, 54), (89, 73)))


@pytest.fixture
def some(tmp_path: Path) -> World:
    """Scores 0.1, 0.3, 0.6, 0.8, each ten times; the limit is the engine's, 0.5."""
    made = world(tmp_path)
    scores = [0.1] * 10 + [0.3] * 10 + [0.6] * 10 + [0.8] * 10
    made.record(*(made.part(n, score, PASS if score < 0.5 else FAIL) for n, score in enumerate(scores, start=1)))
    return made


def test_limits_of_the_score_from_rows(some: World) -> None:
    for number in (21, 22, 1, 2, 3):
        some.label(number, "good")
    some.label(23, "defective")
    some.label(31, "defective")
    found = some.ask("decision.reject_score=0.7")
    assert (found.from_images, found.parts, found.changed_parts) == (False, 40, 10)
    assert found.before["FAIL"] == 20
    assert found.after["FAIL"] == 10
    (move,) = found.moves.items()
    assert move[1] == 10
    assert found.changed[0] | {"score": 0} == {
        "session": "s1", "acquisition_id": 23, "part_id": 1023, "score": 0, "before": "FAIL",
        "after": move[0].rpartition(" ")[2], "label": "defective", "camera": "top",
    }  # fmt: skip
    assert found.good["n"] == 5
    assert (found.good["rejected_before"], found.good["rejected_after"]) == (2, 0)
    assert found.good["rejected_before_share"] == [0.4, pytest.approx(0.118, abs=0.01), pytest.approx(0.769, abs=0.01)]
    assert found.defective["n"] == 2


@pytest.mark.system
def test_where_limits_alone_differ_nothing_is_loaded_that_inspects_parts(some: World) -> None:
    """Half of the second that it may take was the start: OpenCV, numpy and the runtimes of an engine that never ran."""
    arguments = ("what-if", "--set", "decision.reject_score=0.7", "--config", str(some.config))
    loaded = loaded_by(*arguments)
    assert "station.jobs.what_if.rows" in loaded
    assert loaded & INSPECTING == set()
    assert "station.jobs.what_if.images" in loaded_by(*arguments, "--set", "decision.min_region_mm2=0.5")


def test_the_active_engine_of_a_store_is_a_link(some: World) -> None:
    (some.folder / "engine").rename(some.folder / "0001")
    (some.folder / "engine").symlink_to("0001")
    assert some.ask("decision.reject_score=0.7").changed_parts == 10


def test_escapes_have_an_upper_bound(some: World) -> None:
    for number in range(21, 41):
        some.label(number, "defective")
    found = some.ask("decision.reject_score=0.7", "decision.review_score=0.7")
    assert (found.defective["passed_before"], found.defective["passed_after"]) == (0, 10)
    assert found.defective["passed_before_at_most"] == pytest.approx(0.139, abs=0.001)
    assert found.defective["passed_after_at_most"] == pytest.approx(0.698, abs=0.001)
    assert all(one["after"] == "PASS" for one in found.changed)


def test_nothing_changes_where_nothing_differs_and_the_newest_come_first(some: World) -> None:
    assert some.ask("decision.reject_score=0.5").changed_parts == 0
    assert some.ask("decision.reject_score=0.01", newest=15).parts == 15
    assert some.ask("decision.reject_score=0.05", "decision.review_score=0.05").changed_parts == 20
    assert len(some.ask("decision.reject_score=0.05", "decision.review_score=0.05").changed) <= LISTED


def test_regions_are_held_against_other_limits_and_zones(tmp_path: Path) -> None:
    made = world(tmp_path)
    made.record(*(made.part(n, 0.1, PASS, regions=(LARGE,) if n % 2 else ()) for n in range(1, 11)))
    assert made.ask("decision.limits.fail_length_mm=2.5").moves == {"PASS > FAIL": 5}
    zone = {"name": "middle", "polygon": [[0.4, 0.4], [0.6, 0.4], [0.6, 0.6], [0.4, 0.6]], "fail_area_mm2": 5.0}
    inside = f"decision.zones={json.dumps([zone])}"
    assert made.ask("decision.limits.fail_length_mm=2.5", inside).changed_parts == 0
    zone["polygon"] = [[0.0, 0.0], [0.2, 0.0], [0.2, 0.2]]
    outside = f"decision.zones={json.dumps([zone])}"
    assert made.ask("decision.limits.fail_length_mm=2.5", outside).moves == {"PASS > FAIL": 5}
    assert made.ask("quality.min_sharpness=60").moves == {"PASS > REVIEW": 10}


def test_what_was_not_inspected_or_by_another_engine_or_measured_otherwise_is_left_out_and_said(tmp_path: Path) -> None:
    made = world(tmp_path)
    before = made.config.read_text()
    made.record(
        made.part(1, 0.6, FAIL),
        made.part(2, 0.6, FAIL, engine="e" * 64),
        made.part(3, 0.6, FAIL, checksum="c" * 64),
        made.part(4, 0.0, Verdict.ERROR),
        kept=before,
    )
    found = made.ask("decision.reject_score=0.7")
    assert found.notes == {"other engine": 1, "measured otherwise": 1, "not inspected": 1}
    assert (found.parts, found.changed_parts) == (2, 1)
    made.config.write_text(before + "[quality]\nmin_mean_grey = 7.0\n")
    found = made.ask("decision.reject_score=0.7")
    assert found.notes == {"other engine": 1, "measured otherwise": 1, "not inspected": 1}, "measured alike"
    made.config.write_text(before + "[decision]\npixel_size_mm = 0.2\n")
    assert made.ask("decision.reject_score=0.7").notes["measured otherwise"] == 3


def test_ignored_zones_and_regions_measured_anew_come_from_images(tmp_path: Path) -> None:
    made = world(tmp_path)
    corner = np.full((HEIGHT, WIDTH), 64, np.uint8)
    corner[0:32, 0:32] = 220
    made.record(
        *(made.part(n, 0.1, PASS, pixels=good()) for n in range(1, 7)),
        *(made.part(n, 0.9, FAIL, pixels=bad()) for n in range(7, 9)),
        made.part(9, 0.9, FAIL, pixels=corner),
    )
    zone = {"name": "corner", "polygon": [[0, 0], [0.4, 0], [0.4, 0.4], [0, 0.4]], "ignore": True}
    steps: list[tuple[str, int, int]] = []
    found = made.ask(f"decision.zones={json.dumps([zone])}")
    assert (found.from_images, found.parts, found.moves) == (True, 9, {"FAIL > PASS": 1})
    assert found.changed[0]["acquisition_id"] == 9
    assert steps == []


def test_passed_parts_whose_images_are_a_sample_stand_for_more(tmp_path: Path) -> None:
    made = world(tmp_path)
    made.record(*(made.part(n, 0.1, PASS, pixels=good()) for n in range(1, 61)), share=0.3)
    found = made.ask("decision.min_region_mm2=0.5")
    assert found.from_images
    assert 5 < found.parts < 45
    assert found.sampled == found.parts
    assert found.after["PASS"] == pytest.approx(60, rel=0.35)
    assert found.notes["without image"] == 60 - found.parts


def test_without_an_engine_nobody_knows_what_a_score_means(some: World) -> None:
    some.config.write_text(some.config.read_text().replace('path = "engine"', ""))
    with pytest.raises(NoEngine, match="names no engine"):
        some.ask("decision.reject_score=0.7")


def test_the_command_says_it_in_words_and_refuses_what_is_wrong(
    some: World, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ["--config", str(some.config)]
    some.label(21, "good")
    assert cli.main(["what-if", "--set", "decision.reject_score=0.7", *config]) == 0
    said = capsys.readouterr().out
    assert "40 parts decided again from their rows; 10 change" in said
    assert "labelled good: 1 rejected > 0 of 1" in said
    assert "escapes: not known" in said
    for sets, why in (
        ("decision.reject_score", "write it as decision.reject_score=0.55"),
        ("decision.reject_skore=1", "did you mean"),
        ("decision.reject_score=7", "less than or equal to 1"),
        ("engine.threads=2", "set-up cannot change engine.threads"),
    ):
        assert cli.main(["what-if", "--set", sets, *config]) == 2
        assert why in capsys.readouterr().err
    assert cli.main(["what-if", "--set", "decision.reject_score=0.7", "--newest", "0", *config]) == 2
    assert "from 1 to 200000" in capsys.readouterr().err
    capsys.readouterr()
    assert cli.main(["what-if", "--set", "decision.reject_score=0.7", "--json", *config]) == 0
    check_keys("what-if", json.loads(capsys.readouterr().out))
    assert cli.main(["what-if", "--set", "decision.reject_score=0.7", "--progress", "json", *config]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0]["step"] == "parts"
    assert (lines[-1]["event"], lines[-1]["changed_parts"]) == ("done", 10)
