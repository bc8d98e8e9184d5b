"""Which parts a refresh takes: from real records, with people's labels."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from station.jobs.refresh_labels import (
    Label,
    RefreshError,
    by_name,
    by_part,
    classes_on_record,
    labels_on_record,
    read_labels,
)
from station.jobs.refresh_selection import (
    HELD_OUT_SHARE,
    MAX_SUSPECT_SHARE,
    MIN_TRAINING,
    Group,
    PartImage,
    from_folder,
    from_records,
    has_parts,
    named_on_record,
    read_veto,
    select,
    with_classes,
    with_labels,
)
from station.labels.labels import decide
from station.labels.schema import LABELS_FILE, open_writer
from station.labels.writing import Reviewer
from station.line.recording.stage import Recorder, RecorderSettings
from station.records.parts import parts
from station.records.schema import open_reader
from station.reports.shifts import Calendar
from station.results import Verdict
from tests.bench.engines.pictures import write_rings
from tests.bench.sample_parts import WALL_TIME, PartMaker

CLOCK = Calendar(ZoneInfo("Europe/Berlin"))


def record(records: Path, verdicts: Sequence[Verdict], *, session: str = "s1") -> None:
    """Parts 1, 2, ... of a session with these verdicts, all with their images."""
    recorder = Recorder(RecorderSettings(records, pass_image_share=1.0, min_free_mb=0), session)
    recorder.start()
    maker = PartMaker(session)
    for number, verdict in enumerate(verdicts, start=1):
        recorder.record(maker.inspected(number, verdict))
    assert recorder.stop(30)


def part(number: int, verdict: str = "PASS", label: Label | None = None) -> PartImage:
    return PartImage(f"s1/{number}", str(1000 + number), Path(f"{number}.png"), verdict, label)


def test_judged_parts_of_the_recipe_with_an_image(tmp_path: Path) -> None:
    record(tmp_path, [Verdict.PASS, Verdict.ERROR, Verdict.REVIEW, Verdict.FAIL, Verdict.PASS])
    found = from_records(tmp_path, recipe="default", newest=100)
    assert [part.key for part in found] == ["s1/1", "s1/3", "s1/4", "s1/5"]
    assert [part.group for part in found] == [Group.PASSED, Group.SUSPECT, Group.SUSPECT, Group.PASSED]
    assert all(part.image.is_file() for part in found)
    assert [part.key for part in from_records(tmp_path / "records.db", recipe="default", newest=2)] == ["s1/4", "s1/5"]
    with pytest.raises(RefreshError, match=r'no image of a judged part of recipe "other"'):
        from_records(tmp_path, recipe="other", newest=100)


def test_parts_that_are_named_one_by_one(tmp_path: Path) -> None:
    record(tmp_path, [Verdict.PASS, Verdict.ERROR, Verdict.REVIEW, Verdict.FAIL, Verdict.PASS])
    found = named_on_record(tmp_path, ["s1/5", "s1/3"], recipe="default")
    assert [(part.key, part.camera) for part in found] == [("s1/5", "top"), ("s1/3", "top")]
    for name, why in (
        ("5", "SESSION/ACQUISITION_ID"),
        ("s1/x", "SESSION/ACQUISITION_ID"),
        ("s1/" + "9" * 30, "SESSION/ACQUISITION_ID"),
        ("s1/6", 'no such part of recipe "default"'),
        ("../1", "no such part"),
    ):
        with pytest.raises(RefreshError, match=re.escape(why)):
            named_on_record(tmp_path, [name], recipe="default")
    with pytest.raises(RefreshError, match='of recipe "other"'):
        named_on_record(tmp_path, ["s1/5"], recipe="other")
    for image in (tmp_path / "images").rglob("*.png"):
        image.unlink()
    with pytest.raises(RefreshError, match="none of these 1 parts has an image any more"):
        named_on_record(tmp_path, ["s1/5"], recipe="default")


def test_every_view_is_an_image_of_its_own_and_stays_with_its_part(tmp_path: Path) -> None:
    recorder = Recorder(RecorderSettings(tmp_path, pass_image_share=1.0, min_free_mb=0), "s1")
    recorder.start()
    recorder.record(PartMaker("s1").seen_by(1, {"top": Verdict.PASS, "side": Verdict.FAIL}))
    recorder.record(PartMaker("s1").seen_by(2, {"top": Verdict.PASS, "side": Verdict.PASS}))
    assert recorder.stop(30)
    found = from_records(tmp_path, recipe="default", newest=100)
    assert [(part.key, part.camera, part.verdict) for part in found] == [
        ("s1/1", "top", "PASS"),
        ("s1/1", "side", "FAIL"),
        ("s1/2", "top", "PASS"),
        ("s1/2", "side", "PASS"),
    ]
    assert len({part.name for part in found}) == 4
    assert [part.lot for part in found[:2]] == [found[0].lot] * 2 != [part.lot for part in found[2:]]
    labels = {"1002": Label.GOOD, "s1/1/side": Label.DEFECTIVE}
    labelled = with_labels(found, labels)
    assert [part.label for part in labelled] == [None, Label.DEFECTIVE, Label.GOOD, Label.GOOD]


def test_a_recipe_that_has_another_name_now_is_told_from_one_that_has_made_nothing(tmp_path: Path) -> None:
    record(tmp_path, [Verdict.PASS] * 3)
    with pytest.raises(RefreshError, match=r"other recipes have parts: default \(3\).*--recorded-as default"):
        from_records(tmp_path, recipe="flange", newest=100)
    assert has_parts(tmp_path, "default")
    assert not has_parts(tmp_path, "flange")


def test_images_that_are_gone_or_lie_elsewhere_are_left_out(tmp_path: Path) -> None:
    records = tmp_path / "records"
    record(records, [Verdict.PASS, Verdict.PASS, Verdict.FAIL])
    first, second, third = from_records(records, recipe="default", newest=100)
    first.image.unlink()
    second.image.rename(tmp_path / "elsewhere.png")
    second.image.symlink_to(tmp_path / "elsewhere.png")
    assert from_records(records, recipe="default", newest=100) == [third]
    third.image.unlink()
    with pytest.raises(RefreshError, match=r"raise records\.pass_image_share"):
        from_records(records, recipe="default", newest=100)


def test_names_are_for_people_in_the_order_of_capture_and_differ() -> None:
    names = [part(number).name for number in (2, 10, 100)]
    assert names == sorted(names)
    assert names[0] == "s1-000000002-part1002.png"
    strange = [PartImage(name, name, Path(name)) for name in ("a b.png", "a\nb.png", "a_b.png", "a_b.PNG", "ä.jpg")]
    assert strange[2].name == "a_b.png"
    assert len({part.name for part in strange}) == len(strange)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", part.name) for part in strange)


def test_no_records(tmp_path: Path) -> None:
    with pytest.raises(RefreshError, match=r"is this the records\.db of a station"):
        from_records(tmp_path, recipe="default", newest=10)
    (tmp_path / "records.db").write_text("not a database" * 100)
    with pytest.raises(RefreshError, match="cannot be read"):
        from_records(tmp_path / "records.db", recipe="default", newest=10)


def test_a_folder(tmp_path: Path) -> None:
    write_rings(tmp_path / "train" / "good", 4)
    found = from_folder(tmp_path, newest=3)
    assert [part.part_id for part in found] == ["001.png", "002.png", "003.png"]
    assert {part.group for part in found} == {Group.UNKNOWN}
    with pytest.raises(RefreshError, match="holds no image"):
        from_folder(tmp_path, newest=3) and from_folder(tmp_path / "train", newest=3)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.csv", "part_id,label,by\n1001,good,me\ns1/2,defective,me\n"),
        ("labels.csv", "\ufefflabel,part_id\r\ngood,1001\r\ndefective, s1/2 \r\n"),
        ("labels.csv", "Part_ID; label ;by\r\n1001;good;\r\n;;\r\ns1/2;defective;me\r\n"),
        ("labels.csv", "part_id\tlabel\n1001\tgood\ns1/2\tdefective\n"),
        ("labels.csv", "part_id,session,acquisition_id,label\n1001,,,good\n1002,s1,2,defective\n1003,s1,3,\n"),
        ("labels.json", '{"1001": "good", "s1/2": "defective"}'),
        (
            "labels.json",
            '[{"part_id": 1001, "label": "good"}, '
            '{"part_id": 1002, "session": "s1", "acquisition_id": 2, "time": null, "label": "defective"}]',
        ),
    ],
)
def test_labels(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    labels = by_name(read_labels(tmp_path / name, CLOCK), tmp_path / name)
    assert labels == {"1001": Label.GOOD, "s1/2": Label.DEFECTIVE}
    labelled = with_labels([part(1), part(2), part(3)], labels)
    assert [part.label for part in labelled] == [Label.GOOD, Label.DEFECTIVE, None]
    assert [part.group for part in labelled] == [Group.GOOD, Group.DEFECTIVE, Group.PASSED]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("l.csv", "part,label\n1,good\n", "must name the columns part_id,label"),
        ("l.csv", "part_id,label\n1,good\n2,bad\n", r"line 3: label 'bad'; allowed: good, defective"),
        ("l.csv", "part_id,label\n1,good\n1,defective\n", "part 1 is labelled good and defective"),
        ("l.csv", "", "must name the columns"),
        ("l.csv", "part_id,label\n1\n", "line 2: 1 columns, the first line has 2"),
        ("l.json", "[" * 100_000, "is not JSON"),
        ("l.json", "[1]", "expected an object"),
        ("l.json", "{", "is not JSON"),
        ("l.json", '{"1": 3}', "label '3'"),
        ("l.json", '[{"part_id": 1}]', "a list of objects with part_id, label"),
        ("l.csv", "part_id,label,time\n1,good,8h\n", 'line 2: "8h" names no minute and no second'),
        ("l.csv", f"part_id,label\n{'1' * 200_000},good\n", "line 2: field larger than field limit"),
    ],
)
def test_wrong_labels_are_named(tmp_path: Path, name: str, text: str, expected: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(RefreshError, match=expected):
        by_name(read_labels(tmp_path / name, CLOCK), tmp_path / name)
    with pytest.raises(RefreshError, match="cannot be read"):
        read_labels(tmp_path / "none.csv", CLOCK)


def test_an_id_that_came_twice_must_be_reported_apart() -> None:
    again = [part(1), PartImage("s2/1", "1001", Path("x.png"), "PASS")]
    with pytest.raises(RefreshError, match="2 parts have had this id; label one of s1/1, s2/1"):
        with_labels(again, {"1001": Label.GOOD})
    assert [p.label for p in with_labels(again, {"s2/1": Label.GOOD})] == [None, Label.GOOD]


@pytest.fixture
def repeated(tmp_path: Path) -> Path:
    """The PLC has started its counter anew a day later: parts 1001 to 1003 are there twice, 1004 once."""
    for session, count, day in (("s1", 4, 0.0), ("s2", 3, 86_400.0)):
        recorder = Recorder(RecorderSettings(tmp_path, pass_image_share=1.0, min_free_mb=0), session)
        recorder.start()
        maker = PartMaker(session)
        for number in range(1, count + 1):
            made = maker.inspected(number, Verdict.PASS)
            moved = replace(made.part, wall_time=WALL_TIME + day + number)
            recorder.record(replace(made, part=moved))
        assert recorder.stop(30)
    return tmp_path


def said_of(records: Path, text: str, name: str = "labels.csv") -> dict[str, Label]:
    file = records / name
    file.write_text(text)
    return by_part(read_labels(file, CLOCK), file, records=records, recipe="default", calendar=CLOCK)


def test_an_id_that_came_twice_in_the_file_is_offered_by_time_and_session(repeated: Path) -> None:
    with pytest.raises(RefreshError) as refused:
        said_of(repeated, "part_id,label\n1004,good\n1001,defective\n")
    said = str(refused.value)
    assert "line 3: several parts have had the id 1001; say which one, with a column time or session:" in said
    first, second = CLOCK.iso(WALL_TIME + 1), CLOCK.iso(WALL_TIME + 86_401)
    assert said.splitlines()[1:] == [
        f"  PASS    time {second}, session s2, acquisition_id 1",
        f"  PASS    time {first}, session s1, acquisition_id 1",
    ]
    for column, value in (("time", first), ("time", CLOCK.clock(WALL_TIME + 1)), ("session", "s1")):
        labels = said_of(repeated, f"part_id,label,{column}\n1004,good,\n1001,defective,{value}\n")
        assert labels == {"s1/4": Label.GOOD, "s1/1": Label.DEFECTIVE}
    entry = {"part_id": 1001, "label": "good", "time": second}
    assert said_of(repeated, json.dumps([entry]), "l.json") == {"s2/1": Label.GOOD}


def test_an_id_whose_other_part_has_no_image_any_more_is_no_less_in_doubt(repeated: Path) -> None:
    for part_of in from_records(repeated, recipe="default", newest=100):
        if part_of.key == "s2/1":
            part_of.image.unlink()
    with pytest.raises(RefreshError, match="several parts have had the id 1001"):
        said_of(repeated, "part_id,label\n1001,good\n")


def test_what_the_file_names_and_nobody_has_seen_labels_nothing(repeated: Path) -> None:
    labels = said_of(repeated, "part_id,label,session\n1001,good,s3\n9999,good,\n")
    known = with_labels(from_records(repeated, recipe="default", newest=100), labels)
    assert [one.label for one in known] == [None] * 7
    assert len(labels) == 2  # select notes them


@given(
    passed=st.integers(0, 120),
    suspects=st.integers(0, 120),
    good=st.integers(0, 30),
    defective=st.integers(0, 30),
)
def test_a_selection_keeps_its_promises(passed: int, suspects: int, good: int, defective: int) -> None:
    parts = [part(index) for index in range(passed)]
    parts += [part(1000 + index, "FAIL") for index in range(suspects)]
    parts += [part(2000 + index, "REVIEW", Label.GOOD) for index in range(good)]
    parts += [part(3000 + index, "PASS", Label.DEFECTIVE) for index in range(defective)]
    if passed + good < MIN_TRAINING / (1 - MAX_SUSPECT_SHARE) / 2:
        with pytest.raises(RefreshError, match="at least 20 are needed"):
            select(parts)
        return
    assume(passed + good >= MIN_TRAINING / (1 - HELD_OUT_SHARE))  # between the two it depends on the suspects
    selection = select(parts)
    learned = [p for p in selection.training if p.group is not Group.DEFECTIVE]
    groups = [p.group for p in learned]
    assert len(learned) >= MIN_TRAINING
    assert not set(learned) & set(selection.held_out)
    assert sum(p.group is Group.DEFECTIVE for p in selection.training) == defective
    assert sum(p.group is Group.DEFECTIVE for p in selection.held_out) == defective
    assert groups.count(Group.SUSPECT) <= MAX_SUSPECT_SHARE * len(learned)
    assert len({p.name for p in parts}) == len(parts)
    left_out = passed + suspects + good - len(learned) - sum(p.group is not Group.DEFECTIVE for p in selection.held_out)
    assert (left_out > 0) == any("left out" in note for note in selection.notes)


def test_who_is_held_out_does_not_depend_on_the_others() -> None:
    """Mostly: so that an engine of an earlier refresh has not learned from what the next one compares with."""
    now = {p.key for p in select([part(index) for index in range(200)]).held_out}
    later = {p.key for p in select([part(index) for index in range(100, 300)]).held_out}
    common = {f"s1/{index}" for index in range(100, 200)}
    assert len(now & later & common) >= 0.8 * len(now & common)


def test_too_few_and_unknown_labels() -> None:
    with pytest.raises(RefreshError, match=r"19 images to learn from, .* \(found: 24 passed\)"):
        select([part(index) for index in range(24)])
    named = {"s1/3", "1009", "s1-000000010-part1010.png", "elsewhere"}
    selection = select([part(index) for index in range(50)], named=named)
    assert selection.notes == ("1 labels name parts that are not among these",)


def test_a_veto_makes_parts_good_whatever_was_said(tmp_path: Path) -> None:
    parts = [part(index) for index in range(30)]
    file = tmp_path / "veto.txt"
    file.write_text(f"# good after all\n\n{parts[4].name}\r\n  {parts[5].name}\n#{parts[6].name}\n", newline="")
    vetoed = read_veto(file)
    assert vetoed == {parts[4].name, parts[5].name}
    labelled = with_labels(parts, {parts[4].key: Label.DEFECTIVE, parts[7].key: Label.DEFECTIVE}, vetoed)
    assert [each.label for each in labelled[4:8]] == [Label.GOOD, Label.GOOD, None, Label.DEFECTIVE]
    with pytest.raises(RefreshError, match=r"nowhere\.txt\" cannot be read"):
        read_veto(Path("nowhere.txt"))


def test_labels_may_be_json_for_many_parts(tmp_path: Path) -> None:
    many = {str(index): "good" for index in range(5000)}
    (tmp_path / "l.json").write_text(json.dumps(many))
    assert len(read_labels(tmp_path / "l.json", CLOCK)) == 5000


@pytest.mark.parametrize("left", [0, 100])
def test_an_image_that_a_power_cut_left_empty_or_cut_off_does_not_stop_a_refresh(tmp_path: Path, left: int) -> None:
    record(tmp_path, [Verdict.PASS] * 3)
    first = from_records(tmp_path, recipe="default", newest=100)[0].image
    first.write_bytes(first.read_bytes()[:left])
    found = from_records(tmp_path, recipe="default", newest=100)
    assert [part.key for part in found] == ["s1/2", "s1/3"]


def test_kept_labels_are_taken_and_those_of_a_file_have_the_last_word(tmp_path: Path) -> None:
    records = tmp_path / "records"
    recorder = Recorder(RecorderSettings(records, pass_image_share=1.0, min_free_mb=0), "s1")
    recorder.start()
    for number in (1, 2, 3):
        recorder.record(PartMaker("s1").seen_by(number, {"top": Verdict.PASS, "side": Verdict.PASS}))
    assert recorder.stop(30)
    file = tmp_path / LABELS_FILE
    assert labels_on_record(file) == classes_on_record(file) == {}
    anna = Reviewer("anna", "operator")
    with closing(open_reader(records)) as reading, closing(open_writer(file)) as writing:
        first, second, _ = parts(reading)
        decide(writing, first, "defective", anna)
        decide(writing, first, "good", anna)  # a correction
        decide(writing, second, "defective", anna, camera="side", defect_class="scratch", new_class="minor")
    kept, classes = labels_on_record(file), classes_on_record(file)
    assert classes == {"s1/2/side": "scratch"}
    assert kept == {"s1/1": Label.GOOD, "s1/2/side": Label.DEFECTIVE}
    found = with_labels(from_records(records, recipe="default", newest=100), kept)
    assert [part.label for part in found] == [Label.GOOD, Label.GOOD, None, Label.DEFECTIVE, None, None]
    named = with_classes(found, classes)
    assert [part.defect_class for part in named] == ["", "", "", "scratch", "", ""]
    found = with_labels(found, {"1001": Label.DEFECTIVE, "s1/3": Label.GOOD})
    bad, good = Label.DEFECTIVE, Label.GOOD
    assert [part.label for part in found] == [bad, bad, None, bad, good, good]
    file.write_bytes(b"no database, but long enough to be read as one" * 20)
    with pytest.raises(RefreshError, match="cannot be read"):
        labels_on_record(file)
