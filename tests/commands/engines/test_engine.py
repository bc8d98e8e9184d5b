"""`station engine`, from the command line, without and with a running station."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path

import pytest

from engines.bundle.manifest import PossibleVariants, ReviewPrice, Reviews
from engines.bundle.reading import FrameGraph, read_bundle
from engines.bundle.writing import write_bundle
from engines.store.history import Action, whoami
from engines.store.store import EngineStore, manifest_of
from station.commands import main as cli
from station.daemon.control_server import ControlServer
from station.line.recording.stage import Recorder, RecorderSettings
from station.records.audit import audit_rows
from station.records.schema import open_reader
from station.results import Verdict
from tests.bench.bench import HEIGHT, WIDTH, Bench, bad, good
from tests.bench.engines.signing import make_keys
from tests.bench.engines.small_engine import write_small_engine
from tests.bench.sample_parts import PartMaker
from tests.bench.waiting import wait_for
from tests.commands.test_json import check_keys

ACTIVATE_ENGINE = 7
"""The command of the PLC."""


def engine(path: Path, *, reject_score: float = 40.0, width: int = WIDTH) -> Path:
    return write_small_engine(path, width=width, height=HEIGHT, reject_score=reject_score)


def station(*arguments: object, code: int = 0) -> str:
    """What the command says; standard output when it worked, else both."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        returned = cli.main([str(argument) for argument in arguments])
    assert returned == code, out.getvalue() + err.getvalue()
    return out.getvalue() + (err.getvalue() if code else "")


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "station.toml"
    file.write_text('[cameras.top]\nproducer = "simtl"\n[engine]\nstore = "engines"\n[recipe]\nname = "flange"\n')
    return file


@pytest.fixture
def store(config: Path, tmp_path: Path) -> EngineStore:
    """Two versions, the first one active."""
    store = EngineStore(config.parent / "engines" / "flange")
    store.activate(store.add(engine(tmp_path / "first"), why="first"))
    store.add(engine(tmp_path / "second", reject_score=200.0), why="second")
    return store


def test_looking(config: Path, store: EngineStore) -> None:
    first, second = store.versions()
    listed = station("engine", "list", "--config", config)
    assert first.name in listed
    assert second.name in listed
    assert "active" in listed
    rows = json.loads(station("engine", "list", "--json", "--config", config))["engines"]
    assert [(row["version"], row["active"]) for row in rows] == [(first.name, True), (second.name, False)]
    shown = station("engine", "show", "2", "--config", config)
    assert manifest_of(second).engine_id in shown
    assert "FAIL above 200" in shown
    assert json.loads(station("engine", "show", "--json", "--config", config))["detector"] == "small"


@pytest.mark.system
def test_an_engine_that_asks_is_activated_with_an_answer(config: Path, store: EngineStore, tmp_path: Path) -> None:
    plain = read_bundle(store.versions()[0].path)
    found = PossibleVariants(images=(8,), rejected_share_if_good=0.11, review_share_if_good=0.2)
    draft = plain.manifest.model_copy(update={"possible_variants": found})
    write_bundle(tmp_path / "third", draft=draft, model=plain.model, golden=plain.golden)
    store.add(tmp_path / "third", why="third")
    shown = station("engine", "show", 3, "--config", config)
    assert "nobody was asked yet; if they are good parts, up to 11.0%" in shown
    refused = station("engine", "activate", 3, "--config", config, code=2)
    assert "8 images that look alike were not learned" in refused
    assert "--variants keep" in refused
    station("engine", "activate", 3, "--variants", "remove", "--config", config)
    assert "possible variants are defects: 8 images" in store.events()[-1].why


def test_the_price_of_reviews_is_shown(config: Path, store: EngineStore, tmp_path: Path) -> None:
    plain = read_bundle(store.versions()[0].path)
    price = ReviewPrice(review_budget=0.1, review_score=30.0, rejected=0.005, in_review=0.06, escaped=None)
    reviews = Reviews(chosen_budget=0.1, parts_per_hour=1200.0, labelled_defects=0, prices=(price,))
    draft = plain.manifest.model_copy(update={"reviews": reviews})
    write_bundle(tmp_path / "third", draft=draft, model=plain.model, golden=plain.golden)
    store.add(tmp_path / "third", why="third")
    shown = station("engine", "show", "3", "--config", config)
    assert "5 are rejected and 60 in review" in shown
    assert "good parts in review per hour (1200 parts)" in shown
    assert "what --review-budget costs" not in station("engine", "show", "2", "--config", config)


def test_a_graph_that_prepares_frames_is_shown(config: Path, store: EngineStore, tmp_path: Path) -> None:
    plain = read_bundle(store.versions()[0].path)
    frame = FrameGraph(b"\x08\x08", width=640, height=480, grey=True)
    write_bundle(tmp_path / "third", draft=plain.manifest, model=plain.model, golden=plain.golden, frame=frame)
    store.add(tmp_path / "third", why="third")
    shown = station("engine", "show", "3", "--config", config)
    assert "prepares grey frames of 640 x 480 px on a GPU" in shown
    assert "on a GPU" not in station("engine", "show", "2", "--config", config)


@pytest.mark.system
def test_verify_names_what_is_damaged(config: Path, store: EngineStore) -> None:
    assert station("engine", "verify", "--config", config).count("agree") == 2
    (store.versions()[1].path / "model.onnx").write_bytes(b"damaged")
    said = station("engine", "verify", "--config", config, code=2)
    assert said.count("agree") == 1
    assert "the manifest says" in said
    assert "0002-" in station("engine", "list", "--config", config)  # a damaged one does not hide the others


@pytest.mark.system
def test_compare_shows_each_part_whose_verdict_changes(config: Path, store: EngineStore, tmp_path: Path) -> None:
    assert "is this the records.db of a station" in station("engine", "compare", "1", "2", "--config", config, code=2)
    recorder = Recorder(RecorderSettings(tmp_path / "work" / "records", pass_image_share=1.0, min_free_mb=0), "s1")
    recorder.start()
    maker = PartMaker("s1", lambda number: bad() if number % 2 else good())
    for number in range(1, 7):
        made = maker.inspected(number, Verdict.PASS)
        recorder.record(replace(made, recipe="flange"))
    assert recorder.stop(30)
    file = tmp_path / "new" / "compared.json"
    shown = station("engine", "compare", "1", "2", "--output", file, "--config", config)
    assert "3 verdicts change" in shown
    found = json.loads(file.read_text())
    assert sorted(each["key"] for each in found["changed"]) == ["s1/1", "s1/3", "s1/5"]
    assert {each["camera"] for each in found["changed"]} == {"top"}
    assert {each["active"]["verdict"] for each in found["changed"]} == {"FAIL"}
    assert {each["candidate"]["verdict"] for each in found["changed"]} == {"REVIEW"}
    said = station("engine", "compare", "1", "2", "--progress", "json", "--config", config).splitlines()
    lines, (first, second) = [json.loads(line) for line in said], [version.name for version in store.versions()]
    assert (lines[-2]["done"], lines[-2]["total"]) == (12, 12)
    assert lines[-1] == {"event": "done", "changed": 3, "first": first, "second": second}
    check_keys("engine compare", json.loads(station("engine", "compare", "1", "2", "--json", "--config", config)))
    said = station("engine", "verify", "1", "--progress", "json", "--config", config).splitlines()
    assert json.loads(said[-1]) == {"event": "done", "verified": [first], "failed": []}


@pytest.mark.system
def test_activate_and_roll_back_without_a_station(config: Path, store: EngineStore) -> None:
    said = station("engine", "activate", "2", "--why", "less rejects", "--config", config)
    assert "no station runs: the next start or reload takes it up" in said
    assert store.active() == store.versions()[1]
    assert store.events()[-1].why.startswith("less rejects; not known: ")
    station("engine", "rollback", "--no-reload", "--config", config)
    assert store.active() == store.versions()[0]
    assert "no version was active before" in station("engine", "rollback", "--config", config, code=2)


@pytest.mark.system
def test_carried_over(config: Path, store: EngineStore, tmp_path: Path) -> None:
    said = station("engine", "export", "2", tmp_path / "e.tar", "--config", config)
    assert "sha256" in said
    other = tmp_path / "other.toml"
    other.write_text(config.read_text().replace("engines", "elsewhere"))
    said = station("engine", "import", tmp_path / "e.tar", "--config", other)
    assert "station engine activate 1" in said
    arrived = EngineStore(tmp_path / "elsewhere" / "flange")
    assert manifest_of(arrived.versions()[0]) == manifest_of(store.versions()[1])
    assert arrived.active() is None
    assert "0002-" in station("engine", "import", tmp_path / "first", "--config", other)
    (tmp_path / "bad.tar").write_text("no archive")
    assert "is refused" in station("engine", "import", tmp_path / "bad.tar", "--config", other, code=2)


@pytest.mark.system
def test_signed_on_the_way(config: Path, store: EngineStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cryptography")
    keys = make_keys(tmp_path / "plant", password="line 1")
    other = tmp_path / "other.toml"
    text = config.read_text().replace('"engines"', '"elsewhere"\nrequire_signature = "load"\ntrusted_keys = "trusted"')
    other.write_text(text)
    archive = tmp_path / "e.tar"
    monkeypatch.setattr("sys.stdin", io.StringIO("line 2\nline 1\n"))
    export = ("engine", "export", "2", archive, "--config", config, "--sign", keys.secret)
    assert "the password is another one" in station(*export, code=2)
    said = station(*export)
    assert f"e.tar.minisig: signed with key {keys.key_id}" in said
    sha256 = said.split("sha256 ")[1].split()[0]

    importing = ("engine", "import", archive, "--config", other, "--sha256")
    assert "holds no trusted key" in station(*importing, sha256, code=2)
    keys.trusted.rename(tmp_path / "trusted")
    assert "expected is 0000" in station(*importing, "0" * 64, code=2)
    with pytest.raises(SystemExit):
        station(*importing, "")
    assert f"is in the store, signed by key {keys.key_id} (line.pub)" in station(*importing, sha256)
    shown = station("engine", "show", "1", "--config", other)
    assert f"key {keys.key_id} (line.pub): timestamp:" in shown
    assert f"import of e.tar (signed by key {keys.key_id})" in shown
    assert f"(signed by key {keys.key_id})" in station("engine", "list", "--config", other)
    assert f"signed by key {keys.key_id}" in station("engine", "verify", "--config", other)
    assert "is active" in station("engine", "activate", "1", "--config", other)

    unsigned = ("engine", "import", tmp_path / "first", "--config", other)
    assert "has no signature" in station(*unsigned, code=2)
    assert "--sha256 is for files" in station(*unsigned, "--sha256", sha256, code=2)
    assert "--sign is for folders" in station(*importing, sha256, "--sign", keys.secret, code=2)
    monkeypatch.setattr("sys.stdin", io.StringIO("line 1\n"))
    assert "0002-" in station(*unsigned, "--sign", keys.secret)
    assert "nobody who is trusted here" in station("engine", "show", "1", "--config", config)

    foreign = make_keys(tmp_path / "foreign")
    station("engine", "export", "1", tmp_path / "f.tar", "--config", config, "--sign", foreign.secret)
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as err:
        assert cli.main(["engine", "import", str(tmp_path / "f.tar"), "--config", str(config)]) == 0
    assert "by a key that is not trusted here and was not kept" in err.getvalue()


def test_signatures_need_a_store(config: Path) -> None:
    config.write_text('[cameras.top]\nproducer = "simtl"\n[engine]\npath = "e"\nrequire_signature = "import"\n')
    said = station("engine", "list", "--config", config, code=2)
    assert 'require_signature = "import" needs `store` in place of `path`' in said


def test_clear_errors(config: Path, tmp_path: Path) -> None:
    assert "holds no engine" in station("engine", "show", "--config", config, code=2)
    assert "no such file" in station("engine", "list", "--config", tmp_path / "none.toml", code=2)
    config.write_text('[cameras.top]\nproducer = "simtl"\n')
    assert "no engine store is configured" in station("engine", "list", "--config", config, code=2)


def moved(config: Path, store: EngineStore, *, product: bool = False, name: str = "disc") -> None:
    """The product, `flange` in station.toml until now, has a recipe of its own under another name."""
    assert store.active() is not None
    (config.parent / "recipes").mkdir(exist_ok=True)
    own = '[engine]\nproduct = "flange"\n' if product else ""
    (config.parent / "recipes" / f"{name}.toml").write_text(f"number = {1 if name == 'disc' else 2}\n{own}")
    config.write_text(config.read_text().replace('name = "flange"', 'active = "disc"'))


@pytest.mark.system
def test_a_product_that_has_another_name_now_is_said_and_followed(config: Path, store: EngineStore) -> None:
    moved(config, store)
    for words in (("list",), ("activate", "2"), ("show",), ("rollback",)):
        said = station("engine", *words, "--config", config, code=0 if words == ("list",) else 2)
        if words != ("rollback",):
            assert "other products have engines: flange (2)" in said, words
            assert '[engine] product = "flange"' in said, words
    listed = json.loads(station("engine", "list", "--json", "--config", config))
    assert (listed["engines"], listed["elsewhere"]) == ([], ["flange"])
    moved(config, store, product=True)
    assert "first" in station("engine", "list", "--config", config), "its history came along"
    said = station("engine", "activate", "2", "--config", config)
    assert "of product flange is active; no station runs" in said


@pytest.mark.system
def test_the_engines_of_another_recipe_are_named_by_it(config: Path, store: EngineStore, tmp_path: Path) -> None:
    moved(config, store)
    moved(config, store, product=True, name="old")
    said = json.loads(station("engine", "activate", "2", "--recipe", "old", "--json", "--config", config))
    assert (said["product"], said["in_use"]) == ("flange", False)
    assert store.active() == store.versions()[1]
    assert "no such recipe" in station("engine", "list", "--recipe", "ring", "--config", config, code=2)


@pytest.mark.system
def test_a_station_that_runs_another_recipe_is_not_asked(config: Path, store: EngineStore) -> None:
    moved(config, store, product=True)
    socket = config.parent / "work" / "control.sock"
    socket.parent.mkdir()
    asked: list[str] = []
    state = {"recipe": "flange", "engine_id": "e" * 64}

    def reload(_: object) -> dict[str, object]:
        asked.append("reload")
        return {}

    server = ControlServer(socket, {"status": lambda _: {"status": state}, "reload": reload})
    server.start()
    try:
        said = station("engine", "activate", "2", "--config", config)
    finally:
        server.close()
    assert asked == []
    assert 'the station runs recipe "flange", not "disc": taken up when it is selected' in said


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A running station that takes its engine from a store with three versions."""
    with Bench(tmp_path, with_engine=False) as bench:
        text = bench.config_path.read_text().replace('path = "engine"', 'store = "engines"')
        bench.config_path.write_text(text)
        store = EngineStore(tmp_path / "engines" / "default")
        store.activate(store.add(engine(tmp_path / "first"), why=""))
        store.add(engine(tmp_path / "tolerant", reject_score=250.0), why="")
        store.add(engine(tmp_path / "other camera", width=320), why="")
        bench.start()
        yield bench


@pytest.mark.system
def test_a_running_station_takes_up_what_fits_and_refuses_what_does_not(bench: Bench) -> None:
    store = EngineStore(bench.directory / "engines" / "default")
    first, tolerant, _ = store.versions()
    assert not bench.part(bad()).passed
    said = station("engine", "activate", "2", "--why", "new light", "--config", bench.config_path)
    assert "and the station uses it" in said
    assert bench.status()["engine_id"] == manifest_of(tolerant).engine_id
    wait_for(lambda: bench.plc.ready, "TriggerReady")
    assert bench.part(good()).passed

    said = station("engine", "activate", "3", "--config", bench.config_path, code=2)
    assert "the camera gives" in said
    assert f"{tolerant.name} is active" in said
    assert store.active() == tolerant
    assert store.events()[-1].action is Action.REFUSED
    assert bench.status()["engine_id"] == manifest_of(tolerant).engine_id
    wait_for(lambda: bench.plc.ready, "TriggerReady")
    assert bench.part(good()).passed

    station("engine", "rollback", "--config", bench.config_path)
    assert bench.status()["engine_id"] == manifest_of(first).engine_id
    wait_for(lambda: bench.plc.ready, "TriggerReady")
    assert not bench.part(bad()).passed
    assert bench.terminate() == 0
    bench.assert_balanced(4)
    engines = [row.engine_id for row in bench.rows()]
    expected = [first, tolerant, tolerant, first]
    assert engines == [manifest_of(version).engine_id for version in expected]
    with closing(open_reader(bench.directory / "work" / "records")) as connection:
        done = [
            row.detail for row in audit_rows(connection, 10) if row.action == "configuration" and row.result == "done"
        ]
    ids = [manifest_of(version).engine_id[:12] for version in (first, tolerant)]
    assert done[0].startswith(f"engine {ids[0]} -> {ids[1]} (activate by {whoami()}: new light; not known: ")
    assert done[1] == f"engine {ids[1]} -> {ids[0]} (rollback by {whoami()}: no reason given)"


@pytest.mark.system
def test_the_first_engine_of_a_store_ends_the_waiting(tmp_path: Path) -> None:
    with Bench(tmp_path, with_engine=False) as bench:
        text = bench.config_path.read_text().replace('path = "engine"', 'store = "engines"')
        bench.config_path.write_text(text)
        bench.start(wait_ready=False)
        wait_for(lambda: bench.settled() and bench.status()["camera"] == "streaming", "the camera")
        station("engine", "import", engine(tmp_path / "taught"), "--config", bench.config_path)
        station("engine", "activate", "latest", "--config", bench.config_path)
        wait_for(lambda: bench.plc.ready, "TriggerReady")
        assert bench.part(good()).passed


@pytest.mark.system
def test_a_station_that_loads_signed_engines_only(bench: Bench, tmp_path: Path) -> None:
    """The key is required while it runs; what is not signed is refused, by the command, the PLC and the station."""
    pytest.importorskip("cryptography")
    keys = make_keys(tmp_path)
    store = EngineStore(tmp_path / "engines" / "default")
    first, tolerant, _ = store.versions()
    text = bench.config_path.read_text()
    bench.config_path.write_text(text.replace("[engine]\n", '[engine]\nrequire_signature = "load"\n'))
    assert "has no signature" in station("reload", "--config", bench.config_path, code=2)
    signing = f'[engine]\nrequire_signature = "load"\ntrusted_keys = "{keys.trusted}"\n'
    bench.config_path.write_text(text.replace("[engine]\n", signing))
    for number in (1, 2):
        exported = tmp_path / f"{number}.tar"
        export = ("engine", "export", number, exported, "--sign", keys.secret, "--config", bench.config_path)
        station(*export)
        if number == 1:
            station("engine", "import", exported, "--config", bench.config_path)
    station("reload", "--config", bench.config_path)
    assert "has no signature" in station("engine", "activate", "2", "--config", bench.config_path, code=2)
    assert not bench.plc.command(ACTIVATE_ENGINE, 2)
    assert "has no signature" in bench.status()["refused"]
    store.activate(tolerant)  # by somebody who does not ask
    assert "has no signature" in station("reload", "--config", bench.config_path, code=2)
    assert bench.status()["engine_id"] == manifest_of(first).engine_id
    station("engine", "import", tmp_path / "2.tar", "--config", bench.config_path)
    station("engine", "rollback", "--config", bench.config_path)
    station("engine", "activate", "2", "--why", "signed now", "--config", bench.config_path)
    assert bench.status()["engine_id"] == manifest_of(tolerant).engine_id
    wait_for(lambda: bench.plc.ready, "TriggerReady")
    assert bench.part(good()).passed
    assert bench.terminate() == 0
    with closing(open_reader(bench.directory / "work" / "records")) as connection:
        done = [row.detail for row in audit_rows(connection, 20) if row.result == "done"]
    assert any("signed now; " in detail and f"; signed by key {keys.key_id})" in detail for detail in done)
