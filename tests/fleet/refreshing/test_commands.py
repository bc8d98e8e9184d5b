"""`station fleet refresh`, `jobs`, `release`, from what stations sent to an engine that a station pulls."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import pytest

from engines.store.store import EngineStore
from station.commands.main import main
from station.configuration.load import load
from tests.bench.engines.signing import Keys, make_keys
from tests.bench.engines.small_engine import write_small_engine
from tests.bench.fleet import REFRESHERS_WORD, Fleet
from tests.bench.places import ROOT
from tests.commands.test_json import check_keys
from tests.fleet.refreshing.steps import QuickStep, worker_of
from tests.northbound.plant_process import said

pytestmark = pytest.mark.system
TAUGHT = ("--steps", "0", "--defect-trials", "0", "--location", "none", "--refine", "none")


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return make_keys(tmp_path / "keys")


def station_that_pulls(fleet: Fleet, keys: Keys, channel: Path) -> Path:
    folder = fleet.folder / "station"
    folder.mkdir()
    config = folder / "station.toml"
    config.write_text(
        '[station]\nname = "ST-04"\nwork_dir = "work"\n[cameras.top]\nproducer = "simtl"\n[plc]\nrole = "off"\n'
        f'[engine]\nstore = "engines"\nproduct = "cover"\ntrusted_keys = "{keys.trusted}"\n'
        f'[channel]\nurl = "{channel}"\n'
    )
    return config


@pytest.mark.timeout(240)
def test_from_images_of_two_stations_to_an_engine_that_one_of_them_pulls(
    fleet: Fleet, keys: Keys, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    rows = fleet.send_usual("ST-04")
    fleet.send_usual("ST-05", good=6)
    there = EngineStore(fleet.folder / "engines" / "cover")  # the engine that ST-04 has is known here
    active = there.add(write_small_engine(fleet.folder / "small", width=96, height=96), why="of ST-04")
    fleet.ask("UPDATE station_fleet.engines SET engine_id = %s", (active.id_start + "0" * 52,))
    fleet.label("ST-04", rows[31], "defective", "scratch")
    channels = fleet.folder / "channels"
    code, found = said(
        fleet.config, capsys, "fleet", "refresh", "--workers", "2", "--publish", str(channels), "--key",
        str(keys.secret), *TAUGHT,
    )  # fmt: skip
    assert code == 1, "ST-05 has too few images, and that is no success"
    check_keys("fleet refresh", found)
    by_station = {job["station"]: job for job in found["jobs"]}
    assert {name: job["state"] for name, job in by_station.items()} == {"ST-04": "done", "ST-05": "failed"}
    assert "at least 20 are needed" in by_station["ST-05"]["detail"]
    made = by_station["ST-04"]
    assert Path(made["archive"]).exists()
    assert made["report"]["candidate"]["defective"] == 1
    assert made["report"]["active"]["engine_id"].startswith(active.id_start)
    assert made["report"]["agreement"] is not None
    assert made["core_s"] > 0
    (released,) = found["released"]
    assert (released["station"], released["product"], released["sequence"]) == ("ST-04", "cover", 1)
    report = fleet.results.report(Path(made["archive"]).stem)
    assert (report / "refresh" / "comparison.md").exists()
    dossier = json.loads((report / "dossier" / "dossier.json").read_text())
    assert dossier["command"][:3] == ["station", "fleet", "refresh"]
    assert not (report / "dossier" / "blocks").exists()

    config = station_that_pulls(fleet, keys, channels / "ST-04" / "cover")
    code, pulled = said(config, capsys, "fleet", "pull")
    assert (code, pulled["outcome"]) == (0, "imported"), pulled
    store = load(config).engine_store
    assert store is not None
    assert EngineStore(store).active() is None, "a person activates it, through the gate of this station"
    assert EngineStore(store).versions()[0].id_start == made["engine_id"][:12]

    code, listed = said(fleet.config, capsys, "fleet", "jobs", found["round"])
    assert code == 1
    check_keys("fleet jobs", listed)
    assert {job["sequence"] for job in listed} == {1, None}
    assert main(["fleet", "jobs", "--config", str(fleet.config)]) == 1
    shown = capsys.readouterr().out
    assert "released with sequence 1" in shown
    assert REFRESHERS_WORD not in shown


def test_released_later_again_and_never_what_is_not_there(
    fleet: Fleet, keys: Keys, capsys: pytest.CaptureFixture[str]
) -> None:
    for station in ("ST-04", "ST-05"):
        fleet.send_usual(station, 3, 1)
    code, found = said(
        fleet.config, capsys, "fleet", "refresh", "--executor", "none", "--stations", "ST-04,ST-05,ST-04"
    )
    assert (code, len(found["jobs"]), found["open_already"]) == (0, 2, 0)
    assert {job["state"] for job in found["jobs"]} == {"waiting"}
    round_name = found["round"]
    code, again = said(fleet.config, capsys, "fleet", "refresh", "--executor", "none")
    assert (code, again["jobs"], again["open_already"]) == (0, [], 2)
    code, text = said(fleet.config, capsys, "fleet", "refresh", "--continue", "nothing")
    assert (code, 'round "nothing" has no open job' in text) == (2, True)
    code, again = said(fleet.config, capsys, "fleet", "refresh", "--executor", "none", "--continue", round_name)
    assert (code, len(again["jobs"])) == (0, 2)
    worker = worker_of(fleet, QuickStep())
    while worker.work_one() is not None:
        pass
    channels, key = fleet.folder / "channels", ("--key", str(keys.secret))
    gone, kept = fleet.jobs(round_name)
    assert gone.archive_sha256 is not None
    archive = fleet.results.archive(gone.archive_sha256)
    whole = archive.read_bytes()
    archive.write_bytes(whole[:-1] + b"x")
    code, released = said(fleet.config, capsys, "fleet", "release", round_name, str(channels), *key)
    check_keys("fleet release", released)
    assert code == 1
    details = {one["station"]: one["detail"] for one in released}
    assert details[kept.station] == ""
    assert "has the sha256" in details[gone.station]
    assert not (channels / gone.station / "cover" / "channel.json").exists()
    archive.write_bytes(whole)
    code, released = said(fleet.config, capsys, "fleet", "release", round_name, str(channels), *key)
    assert (code, [one["station"] for one in released]) == (0, [gone.station]), "the other one is out already"
    code, text = said(fleet.config, capsys, "fleet", "release", round_name, str(channels), *key)
    assert (code, "nothing to release" in text) == (2, True)
    code, released = said(fleet.config, capsys, "fleet", "release", str(kept.number), str(channels), *key, "--again")
    assert (code, released[0]["sequence"]) == (0, 2)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["refresh", "--publish", "x"], "--publish and --key belong together"),
        (["refresh", "--key", "{key}"], "--publish and --key belong together"),
        (["refresh", "--publish", "x", "--key", "{key}", "--executor", "none"], "nothing is made yet"),
        (["refresh", "--ray-address", "x:1"], "--ray-address is of --executor ray"),
        (["refresh"], 'no station has judged a part of recipe "default"'),
        (["refresh", "--recipe", "other"], "[recipe] active is not set"),
        (["jobs", "nothing"], 'no round or job "nothing"'),
        (["jobs", "--withdraw"], "of which round or job"),
        (["jobs", "--prune", "4000"], "allowed: 1 to 3650"),
        (["jobs", "nothing", "--prune", "4"], "--prune looks at all jobs"),
        (["release", "nothing", "x", "--key", "{key}"], "nothing to release"),
        (["release", "nothing", "x", "--key", "{key}", "--days", "4000"], "allowed: 1 to 3650"),
    ],
)
def test_bad_input_is_said(
    fleet: Fleet, keys: Keys, words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = said(fleet.config, capsys, "fleet", *(word.format(key=keys.secret) for word in words))
    assert code == 2
    assert expected in text


def test_old_engines_go_and_those_that_somebody_may_need_stay(
    fleet: Fleet, keys: Keys, capsys: pytest.CaptureFixture[str]
) -> None:
    stations = ("old", "young", "released", "touched", "shared")
    for station in stations:
        fleet.send_usual(station, 3, 1)
    numbers = dict(zip(stations, fleet.add(*stations), strict=True))
    worker = worker_of(fleet, QuickStep())
    while worker.work_one() is not None:
        pass
    channels = fleet.folder / "channels"
    words = ("fleet", "release", str(numbers["released"]), str(channels), "--key", str(keys.secret))
    assert said(fleet.config, capsys, *words)[0] == 0
    jobs = {job.station: job for job in fleet.jobs()}
    aged = [numbers[name] for name in stations if name != "young"]
    fleet.ask(
        "UPDATE station_fleet.refresh_jobs SET ended_at = now() - interval '91 days' WHERE job = ANY(%s)", (aged,)
    )
    fleet.add("another")  # an engine of the same bytes, made lately
    fleet.ask(
        "UPDATE station_fleet.refresh_jobs SET state = 'done', ended_at = now(), archive_sha256 = %s "
        "WHERE station = 'another'", (jobs["shared"].archive_sha256,),
    )  # fmt: skip
    archives = {name: fleet.results.archive(job.archive_sha256 or "") for name, job in jobs.items()}
    for name, archive in archives.items():
        at = fleet.now - (10 if name == "touched" else 92) * 86_400
        os.utime(archive, (at, at))
    foreign = fleet.results.folder / f"{'0' * 64}.tar"
    foreign.touch()
    os.utime(foreign, (0, 0))
    code, listed = said(fleet.config, capsys, "fleet", "jobs", "--prune", "92")
    assert (code, listed) == (0, []), "not old enough by the table"
    code, listed = said(fleet.config, capsys, "fleet", "jobs", "--prune", "90")
    check_keys("fleet jobs", listed)
    assert (code, [(job["station"], job["archive"]) for job in listed]) == (0, [("old", None)])
    assert not archives["old"].exists()
    assert not fleet.results.report(archives["old"].stem).exists()
    for name in set(stations) - {"old"}:
        assert archives[name].exists(), name
        assert fleet.results.report(archives[name].stem).exists(), name
    assert foreign.exists(), "of no job of this database"
    assert main(["fleet", "jobs", "--prune", "90", "--config", str(fleet.config)]) == 0
    assert "removed are the engines of 0 jobs, 0.0 MB" in " ".join(capsys.readouterr().out.split())
    code, released = said(fleet.config, capsys, "fleet", "release", str(numbers["old"]), *words[3:])
    assert (code, "ask for a refresh again" in released[0]["detail"]) == (1, True)


def test_a_folder_of_results_that_is_away_loses_nothing(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    (fleet.results.folder / ".station-engines").unlink()
    code, text = said(fleet.config, capsys, "fleet", "jobs", "--prune", "1")
    assert (code, "is the share mounted" in text) == (2, True)


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed here")
def test_without_ray_it_is_said(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.send_usual("ST-04", 3, 1)
    code, text = said(fleet.config, capsys, "fleet", "refresh", "--executor", "ray")
    assert (code, "Ray is not installed here" in text, "pip install ray" in text) == (2, True, True)
    assert fleet.jobs() == []


def test_what_is_not_set_up_is_named(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    whole = fleet.config.read_text()
    for line, expected in (
        (f'[fleet]\nresults = "{fleet.results.folder}"\n', "[fleet] results is not set"),
        (f'[images]\nfolder = "{fleet.share}"\n', "[images] folder or bucket is not set"),
    ):
        fleet.config.write_text(whole.replace(line, line.partition("\n")[0] + "\n"))
        code, text = said(fleet.config, capsys, "fleet", "jobs")
        assert (code, expected in text) == (2, True), text
    fleet.config.write_text(whole.replace(str(fleet.server.port), "1"))
    code, text = said(fleet.config, capsys, "fleet", "jobs")
    assert (code, "refused" in text) == (2, True)
    fleet.config.write_text(whole + "threads = 3\n")
    code, text = said(fleet.config, capsys, "fleet", "jobs")
    assert (code, "unknown key" in text) == (2, True)
    fleet.config.write_text(whole)
    (fleet.share / ".station-images").unlink()
    fleet.add("ST-04")
    assert main(["fleet", "worker", "--once", "--config", str(fleet.config)]) == 2
    assert "is the share mounted" in capsys.readouterr().err
    assert fleet.jobs()[0].tries == 0, "no try is lost by a computer that is not set up"


def test_a_recipe_or_an_option_that_a_worker_does_not_know(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.send_usual("ST-04", 3, 1)
    for change, expected in (
        ("recipe = 'flange'", 'recipe "flange" is not known here'),
        ('options = \'{"backbone": "/etc/passwd"}\'', "unknown are backbone"),
        ('options = \'{"steps": "many"}\'', "options of job"),
    ):
        (number,) = fleet.add("ST-04")
        fleet.ask(f"UPDATE station_fleet.refresh_jobs SET {change} WHERE job = %s", (number,))
        fleet.ask("UPDATE station_fleet.parts SET recipe = %s", ("flange" if "flange" in change else "default",))
        assert main(["fleet", "worker", "--once", "--config", str(fleet.config)]) == 1
        assert expected in capsys.readouterr().err
        assert expected in fleet.job(number).detail
        assert fleet.job(number).state == "failed"


def loaded_by(*words: str) -> set[str]:
    """Modules that a command loads."""
    import subprocess
    import sys

    run = "import sys; from station.commands.main import main\ntry: main(sys.argv[1:])\nexcept SystemExit: pass"
    code = f"{run}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=50, cwd=ROOT)
    return set(done.stdout.split())


def test_stations_load_neither_ray_nor_a_database_for_the_channel() -> None:
    modules: Any = loaded_by("fleet", "pull", "--help")
    assert "station.commands.northbound.fleet_refresh" in modules
    assert not modules & {"ray", "psycopg", "torch", "numpy", "station.fleet.refreshing.on_ray"}
