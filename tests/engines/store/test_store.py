"""The engine store: versions, activation, going back, history, and being killed at any moment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.bundle.manifest import PossibleVariants, VariantsAnswer
from engines.bundle.reading import read_bundle
from engines.bundle.writing import write_bundle
from engines.engine import open_engine
from engines.errors import BundleError, EngineError, GoldenMismatch, StoreError
from engines.store import history
from engines.store.gate import Said
from engines.store.history import Action, Event
from engines.store.store import EngineStore, manifest_of
from tests.bench.engines.small_engine import detection_of, write_small_engine


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("engines")
    return [small(folder / f"e{index}", reject_score=40.0 + index) for index in range(3)]


@pytest.fixture
def store(tmp_path: Path, engines: list[Path]) -> EngineStore:
    """Three versions, none active."""
    store = EngineStore(tmp_path / "store" / "flange")
    for engine in engines:
        store.add(engine, why="test")
    return store


def small(path: Path, *, reject_score: float = 40.0) -> Path:
    return write_small_engine(path, width=64, height=64, reject_score=reject_score)


def active_name(store: EngineStore) -> str | None:
    active = store.active()
    return None if active is None else active.name


def actions(store: EngineStore) -> list[Action]:
    return [event.action for event in store.events()]


# ---- the gate ---------------------------------------------------------------------------------------------------


@pytest.fixture
def asking(store: EngineStore, tmp_path: Path) -> EngineStore:
    """Version 4 has left out 8 images that look alike; 5 as well, and a person has called them good at teaching."""
    plain = read_bundle(store.versions()[0].path)
    answers: dict[int, VariantsAnswer | None] = {4: None, 5: "keep"}
    for number, answer in answers.items():
        found = PossibleVariants(images=(8, 5), answer=answer, rejected_share_if_good=0.17, review_share_if_good=0.25)
        draft = plain.manifest.model_copy(update={"possible_variants": found})
        write_bundle(tmp_path / str(number), draft=draft, model=plain.model, golden=plain.golden)
        store.add(tmp_path / str(number), why="test")
    return store


def test_an_engine_with_a_question_is_not_activated_without_an_answer(asking: EngineStore) -> None:
    asking.activate(asking.find("1"))
    for said in (Said(), Said("keep")):
        with pytest.raises(
            StoreError, match=r"8 and 5 images that look alike were not learned: .* up to 17.0% .* keep"
        ):
            asking.activate(asking.find("4"), said=said)
    assert active_name(asking) == asking.find("1").name


def test_the_answer_stands_in_the_history_and_holds_from_then_on(asking: EngineStore) -> None:
    asking.activate(asking.find("4"), why="new light", said=Said("remove"))
    assert asking.events()[-1].why == "new light; possible variants are defects: 8 and 5 images that look alike"
    asking.activate(asking.find("1"))
    asking.activate(asking.find("4"), why="asked by PLC")
    assert active_name(asking) == asking.find("4").name
    with pytest.raises(StoreError, match="were not learned"):  # who thinks better of it
        asking.activate(asking.find("4"), said=Said("keep"))


def test_what_was_learned_on_purpose_asks_nothing_and_is_on_record(asking: EngineStore) -> None:
    asking.activate(asking.find("5"))
    assert asking.events()[-1].why == (
        "possible variants are good parts and were learned: 8 and 5 images that look alike"
    )


def test_an_engine_without_a_question_keeps_the_id_it_had_before_there_were_questions(store: EngineStore) -> None:
    manifest = manifest_of(store.find("1"))
    assert manifest.possible_variants is None
    assert manifest.content_id() == manifest.engine_id


# ---- versions ---------------------------------------------------------------------------------------------------


def test_versions_are_numbered_and_named_by_their_id(store: EngineStore, engines: list[Path]) -> None:
    ids = [read_bundle(engine).manifest.engine_id for engine in engines]
    assert [version.name for version in store.versions()] == [f"000{n + 1}-{id_[:12]}" for n, id_ in enumerate(ids)]
    assert [manifest_of(version).engine_id for version in store.versions()] == ids
    assert store.active() is None


def test_an_empty_store(tmp_path: Path) -> None:
    store = EngineStore(tmp_path / "none")
    assert store.versions() == ()
    assert store.events() == ()
    with pytest.raises(StoreError, match="holds no engine"):
        store.find("1")
    assert not store.path.exists()  # looking makes nothing


def test_the_same_engine_is_stored_once(store: EngineStore, engines: list[Path]) -> None:
    assert store.add(engines[1], why="again") == store.versions()[1]
    assert len(store.versions()) == 3


@pytest.mark.parametrize("selector", ["2", "0002", "{name}", "{id}", "{id4}"])
def test_finding(store: EngineStore, selector: str) -> None:
    second = store.versions()[1]
    digits = manifest_of(second).engine_id
    assert store.find(selector.format(name=second.name, id=digits, id4=digits[:6])) == second


def test_finding_what_is_not_there(store: EngineStore) -> None:
    with pytest.raises(StoreError, match=r'version "7" is not in store .* there are 0001-'):
        store.find("7")
    with pytest.raises(StoreError, match=r"no engine of .* is active"):
        store.find("active")
    assert store.find("latest").number == 3


def test_a_number_is_never_used_again(store: EngineStore, engines: list[Path], tmp_path: Path) -> None:
    last = store.versions()[-1]
    last.path.rename(tmp_path / "taken out")
    assert store.add(small(tmp_path / "new", reject_score=99.0), why="").number == last.number + 1


def test_extras_lie_beside_the_engine(tmp_path: Path, engines: list[Path]) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "a.json").write_text("{}")
    version = EngineStore(tmp_path / "s").add(engines[0], why="", extras={"report": tmp_path / "report"})
    assert (version.path / "report" / "a.json").read_text() == "{}"
    (tmp_path / "report" / "link").symlink_to("/etc/passwd")
    store = EngineStore(tmp_path / "other")
    with pytest.raises(EngineError, match="is a link"):
        store.add(engines[0], why="", extras={"report": tmp_path / "report"})
    assert [path.name for path in store.path.iterdir()] == [".lock"]


# ---- activation -------------------------------------------------------------------------------------------------


def test_activation_is_a_relative_link_and_is_written_down(store: EngineStore) -> None:
    first, second, _ = store.versions()
    store.activate(first, why="first")
    change = store.activate(second, why="better on scratches")
    assert (change.before, change.after) == (first.name, second.name)
    assert store.active_link.readlink() == Path(second.name)
    last = json.loads((store.path / "history.jsonl").read_text().splitlines()[-1])
    assert last["from"] == first.name
    assert last["to"] == second.name
    assert last["why"] == "better on scratches"
    assert "@" in last["who"]
    assert last["time"].endswith("Z")
    with open_engine(store.active_link) as engine:
        assert engine.engine_id == manifest_of(second).engine_id


def test_an_engine_that_finds_next_to_nothing_needs_a_written_reason_once(store: EngineStore, tmp_path: Path) -> None:
    blind = write_small_engine(tmp_path / "blind", width=64, height=64, detection=detection_of("dark spot"))
    version = store.add(blind, why="test")
    for said in (Said(), Said(why="  ")):
        with pytest.raises(
            StoreError, match=r"next to nothing \(clear: finds dark spots from 12 px; does not find.*--why"
        ):
            store.activate(version, why="asked by plc", said=said)
    assert active_name(store) is None
    why = "only for the trial of the feeder"
    store.activate(version, why=why, said=Said(why=why))
    assert store.events()[-1].why == f"{why}; finds next to nothing"
    store.activate(store.find("1"), why="asked by plc")
    store.activate(version, why="asked by plc")  # a person has said why
    assert active_name(store) == version.name


def test_an_engine_that_finds_something_needs_none(store: EngineStore, tmp_path: Path) -> None:
    found = detection_of("dark spot", "scratch")
    version = store.add(write_small_engine(tmp_path / "e", width=64, height=64, detection=found), why="test")
    store.activate(version)
    assert manifest_of(version).detection == found


def test_activating_the_active_one_changes_nothing(store: EngineStore) -> None:
    store.activate(store.versions()[0])
    before = len(store.events())
    store.activate(store.versions()[0])
    assert len(store.events()) == before


def test_going_back_goes_further_back_each_time(store: EngineStore) -> None:
    first, second, third = store.versions()
    for version in (first, second, third):
        store.activate(version)
    store.rollback(why="third rejects too much")
    assert store.active() == second
    store.rollback()
    assert store.active() == first
    with pytest.raises(StoreError, match="no version was active before"):
        store.rollback()
    store.activate(third)
    store.rollback()
    assert store.active() == first


def test_going_back_leaves_out_what_was_removed(store: EngineStore, tmp_path: Path) -> None:
    first, second, third = store.versions()
    for version in (first, second, third):
        store.activate(version)
    second.path.rename(tmp_path / "taken out")
    store.rollback()
    assert store.active() == first


def test_a_refused_engine_is_taken_back(store: EngineStore) -> None:
    first, second, _ = store.versions()
    change = store.activate(first)
    assert store.refuse(change, why="another camera") is not None
    assert store.active() is None  # as before
    store.activate(first)
    change = store.activate(second)
    store.refuse(change, why="golden images differ")
    assert store.active() == first
    assert actions(store)[-1] is Action.REFUSED
    with pytest.raises(StoreError, match="no version was active before"):
        store.rollback()


def test_taking_back_does_not_undo_what_somebody_else_did(store: EngineStore) -> None:
    first, second, third = store.versions()
    store.activate(first)
    change = store.activate(second)
    store.activate(third)
    assert store.refuse(change, why="late") is None
    assert store.active() == third


# ---- damage -----------------------------------------------------------------------------------------------------


def test_damaged_engines_are_not_activated(store: EngineStore) -> None:
    first, second, third = store.versions()
    store.activate(first)
    model = second.path / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1] + b"\0")
    with pytest.raises(BundleError, match="the manifest says"):
        store.activate(second)
    (third.path / "manifest.json").write_bytes((first.path / "manifest.json").read_bytes())
    with pytest.raises(BundleError, match="exchanged"):
        store.activate(third)
    assert store.active() == first
    assert actions(store).count(Action.ACTIVATE) == 1


def test_an_engine_that_scores_differently_is_not_taken_in(tmp_path: Path, engines: list[Path]) -> None:
    bundle = read_bundle(engines[0])
    golden = bundle.manifest.golden[0].model_copy(update={"image_score": 7.0})
    manifest = bundle.manifest.model_copy(update={"golden": (golden, *bundle.manifest.golden[1:])})
    manifest = manifest.model_copy(update={"engine_id": manifest.content_id()})
    engine = tmp_path / "engine"
    (engine / "golden").mkdir(parents=True)
    for name in ("model.onnx", *(entry.file for entry in manifest.golden)):
        (engine / name).write_bytes((engines[0] / name).read_bytes())
    (engine / "manifest.json").write_text(manifest.model_dump_json())
    store = EngineStore(tmp_path / "store")
    with pytest.raises(GoldenMismatch):
        store.add(engine, why="")
    assert store.versions() == ()


def test_a_link_that_leads_nowhere_is_reported_and_can_be_replaced(store: EngineStore, tmp_path: Path) -> None:
    first, second, _ = store.versions()
    store.activate(first)
    first.path.rename(tmp_path / "taken out")
    with pytest.raises(StoreError, match="not in the store; activate another"):
        store.active()
    store.activate(second)
    assert store.active() == second


def test_a_change_by_hand_is_written_down(store: EngineStore) -> None:
    first, second, third = store.versions()
    store.activate(first)
    store.active_link.unlink()
    store.active_link.symlink_to(second.name)
    store.activate(third)
    assert actions(store)[-2:] == [Action.INTERRUPTED, Action.ACTIVATE]
    store.rollback()
    assert store.active() == second


def test_a_torn_line_of_history_costs_only_itself(store: EngineStore) -> None:
    first, second, _ = store.versions()
    store.activate(first)
    with (store.path / "history.jsonl").open("ab") as stream:
        stream.write(b'{"time": "2026-')
    store.activate(second)
    assert actions(store)[-2:] == [Action.DAMAGED, Action.ACTIVATE]
    store.rollback()
    assert store.active() == first


@given(st.lists(st.one_of(st.sampled_from("abcd"), st.just("back")), max_size=30))
def test_the_way_back_is_that_of_a_stack(steps: list[str]) -> None:
    """Against the plain model: activating pushes, going back pops."""
    model: list[str] = []
    events: list[Event] = []
    for step in steps:
        before = model[-1] if model else None
        if step == "back":
            if len(model) < 2:
                continue
            model.pop()
            events.append(Event("", "", Action.ROLLBACK, before, model[-1], ""))
        elif step != before:
            model.append(step)
            events.append(Event("", "", Action.ACTIVATE, before, step, ""))
        assert history.activations(events) == tuple(model)


@given(st.text(), st.one_of(st.none(), st.text()))
def test_events_are_read_as_they_were_written(tmp_path_factory: pytest.TempPathFactory, why: str, name: str) -> None:
    file = tmp_path_factory.mktemp("h") / "history.jsonl"
    entry = history.event(Action.ADD, before=None, after=name, why=why)
    history.append(file, entry)
    history.append(file, entry)
    assert history.read(file) == (entry, entry)
