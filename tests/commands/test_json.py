"""`--json` everywhere: every command has it, its output is one document, and its keys are those that its help names."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from docs.generate.commands import OF_JSON, WITHOUT_JSON, json_of, leaves
from engines.store.store import EngineStore
from engines.training.summary import Summary
from station.codes import ReasonCode
from station.commands.engines import evaluate, refresh, teach
from station.commands.main import build_parser
from station.configuration import load as config
from station.control import ControlError
from station.daemon.control_server import ControlServer
from station.jobs.comparison import Changed, Comparison, EngineFigures, Judged
from station.jobs.refresh import Refreshed
from station.line.signalling.snapshot import readable
from station.records.audit import AuditRow, insert_audit
from station.records.challenge_runs import MasterPart, Outcome, Run, RunVerdict, Step
from station.records.challenges import ChallengeRow, upsert_challenge
from station.records.configurations import KeptFile, keep_file
from station.records.schema import open_writer
from station.results import Verdict
from tests.bench.engines.small_engine import write_small_engine
from tests.commands.fed_world import NASTY
from tests.commands.records.conftest import Station, station
from tests.commands.test_status import IDLE, SNAPSHOT

__all__ = ["station"]

LEAVES = {" ".join(words): parser for words, parser in leaves(build_parser())}
ELSEWHERE = {
    "camera list": "tests/commands/test_camera.py",
    "camera grab": "tests/commands/test_camera.py",
    "demo": "tests/system/test_demo.py",
    **dict.fromkeys(
        ("quarantine list", "quarantine keep", "quarantine release", "evidence"),
        "tests/commands/records/test_keeping.py",
    ),
    "engine compare": "tests/commands/engines/test_engine.py",
    "engine build": "no GPU here; prints with `show`, as its siblings",
    "plc monitor": "tests/commissioning/test_plc_monitor.py",
    "plc conformance": "tests/system/conformance/test_links.py",
    "plc simulate": "tests/system/test_simulate.py",
    "plc command": "tests/commissioning/test_plc_command.py",
    "report": "tests/commands/records/test_report.py",
    "what-if": "tests/jobs/what_if/test_what_if.py",
    **dict.fromkeys(("plant status", "plant test", "plant resend"), "tests/northbound/test_plant_process.py"),
    **{f"process {name}": "tests/process/test_running.py" for name in ("status", "learn", "rejects")},
    "trends": "tests/trends/test_command.py",
    **{f"msa {name}": "tests/commands/test_msa.py" for name in ("plan", "run", "enter", "report", "list")},
    **{f"batch {name}": "tests/commands/records/test_batch.py" for name in ("begin", "end", "list")},
    "challenge virtual": "tests/jobs/beside/test_virtual_challenge.py",
    "fleet page": "tests/fleet/test_page.py",
    **dict.fromkeys(("fleet publish", "fleet pull"), "tests/fleet/test_channel_commands.py"),
    **{
        f"fleet sums {name}": "tests/engines/training/sums/test_teach_with_prior.py"
        for name in ("key", "export", "combine")
    },
    **{f"fleet {name}": "tests/fleet/refreshing/test_commands.py" for name in ("refresh", "jobs", "release")},
    "engine gate": "tests/system/test_probation.py",
    "engine shadow": "tests/system/test_shadow.py",
    "engine kinds": "tests/jobs/kinds/test_relearning.py",
    **{f"classes {name}": "tests/labels/test_pareto.py" for name in ("list", "set", "pareto")},
    "restore": "below",
    "support-bundle": "below",
    **dict.fromkeys(("teach", "refresh", "evaluate"), "below"),
    **{f"user {name}": "tests/commands/test_user.py" for name in ("add", "code", "verify", "roles", "lock", "unlock")},
    **{f"user {name}": "tests/commands/test_user.py" for name in ("list", "token", "tokens", "withdraw")},
}
"""What takes minutes, a camera, a PLC or people: where its JSON is looked at."""


def test_every_command_has_json() -> None:
    without = {name for name, parser in LEAVES.items() if json_of(parser) is None}
    assert without == WITHOUT_JSON.keys()


@pytest.mark.parametrize("name", LEAVES)
def test_its_help_says_what_it_holds(name: str) -> None:
    texts = [one.help or "" for one in LEAVES[name]._actions if "--json" in one.option_strings]
    assert len(texts) == (name not in WITHOUT_JSON)
    assert all(text.startswith(OF_JSON) for text in texts)


def keys_of(name: str) -> list[str]:
    """Those that are always there, as the help names them."""
    holds = json_of(LEAVES[name]) or ""
    return holds.split(";")[0].removeprefix("a list of ").split(", and ")[0].split(", ")


def check_keys(name: str, found: Any) -> None:
    if (json_of(LEAVES[name]) or "").startswith("a list of "):
        assert found, "an empty list shows no keys"
        for one in found:
            assert set(keys_of(name)) <= one.keys()
    elif ", and " in (json_of(LEAVES[name]) or ""):
        assert set(keys_of(name)) <= found.keys()
    else:
        assert set(keys_of(name)) == found.keys()


def store_of(place: Station) -> EngineStore:
    store = EngineStore(place.config.parent / "engines" / "default")
    for number in range(2):
        folder = write_small_engine(
            place.config.parent / f"taught-{number}", width=64, height=64, reject_score=40.0 + number
        )
        store.add(folder, why=NASTY.replace("\udcff", ""))
    store.activate(store.versions()[0], why="first")
    text = place.config.read_text().replace("[engine]\n", '[engine]\nstore = "engines"\n')
    place.config.write_text("\n".join(line for line in text.splitlines() if not line.startswith("path = ")))
    return store


@pytest.fixture
def full(station: Station) -> Station:
    """A station with an engine store, a recipe, an audit log, kept files and a challenge test, all with nasty text."""
    text = NASTY.replace("\udcff", "")
    store_of(station)
    (station.config.parent / "recipes").mkdir()
    recipe = f"number = 1\ndescription = {json.dumps(text)}\n[engine]\nversion = 1\n"
    (station.config.parent / "recipes" / "default.toml").write_text(recipe)
    station.config.write_text(station.config.read_text() + '\n[recipe]\nactive = "default"\n')
    step = Step(text, 7, Verdict.PASS, ReasonCode.NONE, Outcome.ESCAPE)
    run = Run(1, text, 1.0, (MasterPart(text, Verdict.FAIL),), steps=(step,), verdict=RunVerdict.FAILED)
    with closing(open_writer(station.records / "records.db")) as connection:
        for each in (
            insert_audit("s", AuditRow(1.0, text, text, text, text, "refused", text)),
            *(keep_file(KeptFile(one * 64, "recipe", text, 1.0, f"{text}{one}")) for one in "ab"),
            upsert_challenge(ChallengeRow(run, text, "", "")),
        ):
            connection.execute(each.sql, each.values)
        connection.commit()
    return station


def status() -> dict[str, Any]:
    return {
        **readable(SNAPSHOT),
        "records": {"detail": NASTY, "lost": 1, "waiting": 2, "replaced": 0},
        **{"runtime": NASTY, "refused": NASTY, "refused_ago_s": 61.0, **IDLE},
        "monitoring": dict.fromkeys(("state", "learned", "drift", "standing", "left_out"), NASTY) | {"streams": []},
    }


ALONE: dict[str, tuple[str, ...]] = {
    "check": ("check",),
    "parts": ("parts",),
    "counts": ("counts",),
    "show": ("show", "1002"),
    "sheet": ("sheet", "--output", "{folder}/sheet.svg"),
    "label": ("label", "1002", "defective", "--why", "<b>[/x]"),
    "backup": ("backup", "{folder}/backup.tar.gz"),
    "trace": ("trace", "1002"),
    "recipe list": ("recipe", "list"),
    "recipe show": ("recipe", "show", "default"),
    "recipe check": ("recipe", "check"),
    "recipe select": ("recipe", "select", "default"),
    "audit": ("audit",),
    "config list": ("config", "list"),
    "config show": ("config", "show", "a"),
    "config diff": ("config", "diff", "a", "b"),
    "challenge history": ("challenge", "history"),
    "engine list": ("engine", "list"),
    "engine verify": ("engine", "verify"),
    "engine activate": ("engine", "activate", "2"),
    "engine rollback": ("engine", "rollback"),
    "engine export": ("engine", "export", "1", "{folder}/engine.tar"),
    "engine import": ("engine", "import", "{folder}/taught-1"),
}
"""Without a running station."""


def document(place: Station, words: tuple[str, ...]) -> Any:
    code, out, _ = place.run(*(word.format(folder=place.config.parent) for word in words), "--json")
    assert code in (0, 1, 2)
    assert all(each.isprintable() or each == "\n" for each in out), ascii(out)
    return json.loads(out)


STARTS_A_PROCESS = {"check", "engine verify", "engine activate", "engine rollback", "engine import"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.system] if name in STARTS_A_PROCESS else []) for name in ALONE]
)
def test_a_command_prints_one_document_with_the_keys_of_its_help(name: str, full: Station) -> None:
    if name == "engine rollback":
        document(full, ALONE["engine activate"])
    check_keys(name, document(full, ALONE[name]))


def test_a_manifest_is_json(full: Station) -> None:
    assert document(full, ("engine", "show", "1"))["detector"] == "small"


def test_the_gpu_check_is_json(full: Station) -> None:
    found = document(full, ("check", "--gpu"))
    assert all(one.keys() == {"what", "judgement", "found", "fix"} for one in found)


def test_a_backup_comes_back(full: Station) -> None:
    document(full, ALONE["backup"])
    words = ("restore", "{folder}/backup.tar.gz", "--replace")
    check_keys("restore", document(full, words))


@pytest.mark.system
def test_a_support_bundle(full: Station) -> None:
    check_keys("support-bundle", document(full, ("support-bundle", "{folder}/bundle.tar.gz")))


RUNNING = {
    "status": ("status",),
    **{name: (name,) for name in ("online", "offline", "clear", "reload")},
    **{f"challenge {name}": ("challenge", name) for name in ("start", "confirm", "status")},
    "challenge reset": ("challenge", "reset", "--who", "anna"),
    "monitoring": ("monitoring",),
    "confirm": ("confirm",),
}


@pytest.mark.parametrize("name", RUNNING)
def test_what_asks_a_running_station_prints_its_reply(name: str, full: Station) -> None:
    socket = config.load_station(full.config).control_socket
    socket.parent.mkdir(parents=True, exist_ok=True)
    replies: dict[str, Callable[[Any], dict[str, Any]]] = {
        "status": lambda _: {"status": status()},
        "reload": lambda _: {"checksum": "c" * 64, "recipe": "default"},
        "second": lambda _: {"rules": [NASTY], "waiting": []},
        **dict.fromkeys(("online", "offline", "clear", "challenge"), lambda _: {}),
    }
    server = ControlServer(socket, replies)
    server.start()
    try:
        check_keys(name, document(full, RUNNING[name]))
    finally:
        server.close()


def test_a_refusal_is_words_and_no_json(full: Station) -> None:
    def refusing(_: object) -> dict[str, Any]:
        raise ControlError(NASTY)

    socket = config.load_station(full.config).control_socket
    socket.parent.mkdir(parents=True, exist_ok=True)
    server = ControlServer(socket, {"reload": refusing})
    server.start()
    try:
        code, out, err = full.run("reload", "--json")
    finally:
        server.close()
    assert (code, out) == (2, "")
    assert err.startswith("station: ")


def test_teach() -> None:
    texts = dict.fromkeys(("preprocessing", "detector", "promise", "suspects", "known_defects", "kinds"), NASTY)
    numbers = dict.fromkeys(("dirt_share", "masked_share", "reject_score", "review_score", "pixel_score"), 0.5)
    summary = Summary(
        images=30, removed=(NASTY,), couplings_used=True, held_out_scores={}, parity=0.0, graphs={},
        reviews={}, finds=(NASTY,), pictures=(), seconds=1.0, warnings=(NASTY,), **texts, **numbers,  # type: ignore[arg-type]
    )  # fmt: skip
    check_keys("teach", teach.as_json(Path(NASTY), {"engine_id": "e" * 64, **asdict(summary)}))


def test_refresh(tmp_path: Path) -> None:
    judged = Judged("FAIL", 0.5)
    figures = EngineFigures("e" * 64, 0, 0, 1, 0, 0, 0, 0, None)
    changed = (Changed(NASTY, NASTY, NASTY, judged, judged),)
    comparison = Comparison({NASTY: 1}, figures, figures, 1.0, None, changed, None, (NASTY,))
    version = EngineStore(tmp_path / "store").add(write_small_engine(tmp_path / "small", width=64, height=64), why="")
    check_keys("refresh", refresh.as_json(Refreshed(version, comparison, (NASTY,))))


def test_evaluate(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps([{"error": NASTY}, {"error": None}]))
    found = evaluate.as_json(tmp_path)
    check_keys("evaluate", found)
    assert found["failed"] == 1


def test_no_number_is_no_json(capsys: pytest.CaptureFixture[str]) -> None:
    from station.commands.options import print_json

    print_json({"a": [float("nan"), float("inf"), 1.5], "b": "\x7f\x1b\u202e"})
    said = capsys.readouterr().out
    assert json.loads(said) == {"a": [None, None, 1.5], "b": "\x7f\x1b\u202e"}
    assert said.isascii()
    assert "\x7f" not in said


def test_each_command_is_looked_at() -> None:
    seen = {*ALONE, *RUNNING, *ELSEWHERE, *WITHOUT_JSON, "engine show"}
    assert seen == LEAVES.keys()
