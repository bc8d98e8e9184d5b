"""Every command shows what others wrote as text: no value is markup, moves the cursor, or makes the command fail."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from engines.bundle.reading import read_bundle
from engines.bundle.writing import write_bundle
from engines.store.store import EngineStore
from engines.training.summary import Summary
from station.codes import ReasonCode
from station.commands import main as cli
from station.commands.camera import camera_table
from station.commands.engines import evaluate, kinds, refresh, teach
from station.commands.main import COMMANDS
from station.configuration import load as config
from station.control import ControlError
from station.daemon.control_server import ControlServer
from station.forwarding.progress import Cursor, Cursors, forwarding_beside
from station.jobs.comparison import Changed, Comparison, EngineFigures, Judged, markdown
from station.jobs.kinds.relearning import Relearned
from station.jobs.refresh import Refreshed
from station.line.recording.stage import Recorder, RecorderSettings
from station.line.signalling.snapshot import readable
from station.msa.storage import Rating, plan, rate, studies_beside
from station.msa.study import KnownPart, Study
from station.process.storage import PROCESS_FILE, Finding, Writer
from station.records.audit import AuditRow, insert_audit
from station.records.batches.rows import BatchRow, upsert_batch
from station.records.challenge_runs import MasterPart, Outcome, Run, RunVerdict, Step
from station.records.challenges import ChallengeRow, upsert_challenge
from station.records.configurations import KeptFile, keep_file
from station.records.engines.shadows import ShadowRow, ShadowRun, insert_shadow, upsert_run
from station.records.schema import open_writer
from station.records.statement import Statement
from station.results import Decision, Reason, Verdict
from station.terminal import console, plain, say
from station.trends.reading import TRENDS_FILE
from tests.bench.engines.small_engine import write_small_engine
from tests.bench.sample_parts import WALL_TIME, PartMaker
from tests.commands.test_status import IDLE, SNAPSHOT

NASTY = "[/x] [bold red]a[decision.limits] \x1b[2J\x1b]0;t\x07\u202e\udcff :smile: {0} <b>&amp;"
SHOWN = "[/x] [bold red]a[decision.limits] \\x1b[2J\\x1b]0;t\\x07\\u202e\\udcff :smile: {0} <b>&amp;"
IN_FILES = NASTY.replace("\udcff", "")
"""What can be encoded, for files and databases."""
SHOWN_OF_FILES = SHOWN.replace("\\udcff", "")


@dataclass
class World:
    """A station's folder in which every text is nasty, and what the commands say."""

    folder: Path
    capture: pytest.CaptureFixture[str]

    @property
    def config(self) -> Path:
        return self.folder / "station.toml"

    def said(self) -> str:
        captured = self.capture.readouterr()
        return captured.out + captured.err

    def run(self, *words: str, expected: str = SHOWN_OF_FILES) -> None:
        """The command ends in order and shows the text as it stands."""
        assert cli.main([*words, "--config", str(self.config)]) in (0, 1, 2)
        self.check(expected)

    def check(self, expected: str = SHOWN) -> str:
        said = self.said()
        assert all(each.isprintable() or each == "\n" for each in said), ascii(said)
        assert expected in said
        return said

    def records(self, *statements: Statement) -> None:
        folder = config.load_station(self.config).records_dir
        folder.mkdir(parents=True, exist_ok=True)
        with closing(open_writer(folder / "records.db")) as connection:
            for statement in statements:
                connection.execute(statement.sql, statement.values)
            connection.commit()

    def answering(self, reply: Callable[[], dict[str, Any]], *words: str, expected: str = SHOWN) -> None:
        socket = config.load_station(self.config).control_socket
        socket.parent.mkdir(parents=True, exist_ok=True)
        names = ("status", "online", "offline", "clear", "reload", "recipe", "teach", "challenge", "batch", "second")
        server = ControlServer(socket, {name: lambda _: reply() for name in names})
        server.start()
        try:
            self.run(*words, expected=expected)
        finally:
            server.close()


@pytest.fixture
def world(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("COLUMNS", "1000")
    (tmp_path / "station.toml").write_text(
        '[cameras.top]\nproducer = "simtl"\n[engine]\nstore = "engines"\n[recipe]\nactive = "flange"\n'
    )
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "flange.toml").write_text(f"number = 1\ndescription = {json.dumps(IN_FILES)}\n")
    return World(tmp_path, capsys)


def refusing() -> dict[str, Any]:
    raise ControlError(NASTY)


def state(**changes: Any) -> Callable[[], dict[str, Any]]:
    own: dict[str, Any] = {"records": {"detail": NASTY, "lost": 1, "waiting": 2, "replaced": 0}}
    own |= {"runtime": NASTY, "refused": NASTY, "refused_ago_s": 61.0, **IDLE}
    return lambda: {"status": {**readable(SNAPSHOT), **own, **changes}}


def one_word(world: World, command: str) -> None:
    world.answering(refusing, command)


def status(world: World) -> None:
    part = {"part_id": 1, "acquisition_id": 1, "verdict": "FAIL", "score": 0.5, "latency_ms": 1.0, "reason": NASTY}
    camera = {"top": {"state": "lost", "detail": NASTY}}
    texts: dict[str, Any] = {"error": NASTY, "error_action": NASTY, "warnings": [NASTY], "cameras": camera}
    texts |= {"online": False, "ready": False, "offline_reason": NASTY, "offline_action": NASTY, "recent": [part]}
    building = {"phase": "building", "step": NASTY, "done": 1, "total": 2, "detail": NASTY}
    for challenge in ("running", "failed", "due"):
        test: dict[str, Any] = {
            "state": challenge,
            "step": NASTY,
            "next_part": NASTY,
            "awaits_confirmation": True,
            "overdue": True,
        }
        test |= {"last_test": 1, "last_verdict": "", "last_detail": NASTY}
        for phase in ("building", "failed", "done"):
            changes = {
                "challenge": test,
                "plan": {**building, "phase": phase},
                "teaching": {**building, "phase": phase},
            }
            world.answering(state(**texts, **changes), "status")
    world.answering(refusing, "status")


def run_command(world: World) -> None:
    world.config.write_text(f"[plc]\nhost = {json.dumps(IN_FILES)}\nport = {json.dumps(IN_FILES)}\n")
    world.run("run", expected="[/x]")


def check_command(world: World) -> None:
    world.config.write_text(
        f'[cameras.top]\ndriver = "folder"\ntrigger = "plc"\nfolder = {json.dumps(IN_FILES)}\n[plc]\nrole = "off"\n'
    )
    world.run("check")


def challenge(world: World) -> None:
    test = {
        "state": "failed",
        "step": NASTY,
        "next_part": NASTY,
        "awaits_confirmation": False,
        "overdue": False,
        "last_test": 1,
    }
    world.answering(state(challenge={**test, "last_detail": NASTY}), "challenge", "status")
    world.answering(refusing, "challenge", "start")
    step = Step(IN_FILES, 7, Verdict.PASS, ReasonCode.NONE, Outcome.ESCAPE)
    run = Run(1, IN_FILES, 1.0, (MasterPart(IN_FILES, Verdict.FAIL),), steps=(step,), verdict=RunVerdict.FAILED)
    run = replace(run, detail=IN_FILES, end_s=2.0, reset_by=IN_FILES, reset_s=3.0, reset_why=IN_FILES)
    world.records(upsert_challenge(ChallengeRow(run, IN_FILES, "", "")))
    world.run("challenge", "history")


def msa(world: World) -> None:
    recorded(world)
    file = studies_beside(config.load_station(world.config).records_dir)
    study = Study("s", (KnownPart("17", True), KnownPart("18", False)), 1, 1, made_by=IN_FILES, made_at=1.0)
    plan(file, study)
    who = IN_FILES[:40]
    rate(file, study, [Rating("anna", 1, "17", False), Rating("anna", 1, "18", False)], who)
    world.run("msa", "list")
    world.run("msa", "report", NASTY, expected=SHOWN)
    world.run("msa", "enter", "s", "--appraiser", NASTY, "--file", "no.csv", expected="cannot be read")


def process(world: World) -> None:
    station = config.load_station(world.config)
    station.work_dir.mkdir(parents=True, exist_ok=True)
    with closing(Writer(station.work_dir / PROCESS_FILE)) as writer:
        writer.sample(1.0, "process", {IN_FILES: 1.0})
        writer.found(Finding(1.0, IN_FILES, True, IN_FILES))
    world.run("process", "status")


def trends(world: World) -> None:
    recorded(world)
    file = config.load_station(world.config).records_dir.parent / TRENDS_FILE
    day = int(time.time() // 86_400)
    disk = {str(day - back): {f"disk free\n{IN_FILES}\n{IN_FILES}": 0.02 + 0.001 * back} for back in range(1, 40)}
    file.write_text(json.dumps({"format": 1, "days": disk}))
    world.run("trends")


def audit(world: World) -> None:
    row = AuditRow(1.0, IN_FILES, IN_FILES, IN_FILES, IN_FILES, "refused", IN_FILES)
    world.records(insert_audit("s", row))
    world.run("audit")


def kept(world: World) -> None:
    world.records(*(keep_file(KeptFile(each * 64, "recipe", IN_FILES, 1.0, f"{IN_FILES}{each}")) for each in "ab"))
    world.run("config", "list")
    world.run("config", "show", "a")
    world.run("config", "diff", "a", "b")


def recorded(world: World) -> None:
    """A part of which everything that may be text is nasty."""
    recorder = Recorder(RecorderSettings(config.load(world.config).records_dir, min_free_mb=0), "s1")
    recorder.start()
    made = PartMaker().inspected(1, Verdict.FAIL)
    reason = Reason(ReasonCode.SCORE_ABOVE_LIMIT, IN_FILES)
    recorder.record(replace(made, decision=Decision(Verdict.FAIL, (reason,)), recipe=IN_FILES))
    for kind in ("camera_down", IN_FILES):
        recorder.event(kind, "warning", IN_FILES, WALL_TIME + 1.004)
    assert recorder.stop(20)
    world.said()  # what the recorder logs


def parts(world: World) -> None:
    recorded(world)
    world.run("parts")
    world.run("parts", "--csv")
    world.run("parts", "--json", expected="[/x]")


def counts(world: World) -> None:
    recorded(world)
    world.run("counts", "--by", "recipe")
    world.run("counts", "--by", "recipe", "--csv")


def show(world: World) -> None:
    recorded(world)
    world.run("show", "1001", "--output", str(world.folder / "part.html"))
    assert "{0} <b>" not in (world.folder / "part.html").read_text()


def label(world: World) -> None:
    recorded(world)
    world.run("label", "1001", "defective", "--class", IN_FILES)
    assert cli.main(["label", "1001", "good", "--why", NASTY, "--config", str(world.config)]) == 2
    world.said()


def classes(world: World) -> None:
    recorded(world)
    name = "[/x] [bold red]a :smile: {0} <b>&amp;"
    world.run("classes", "set", name, "--severity", "minor", expected=name)
    world.run("classes", "set", name, "--number", "7", expected=name)
    world.run("classes", "list", expected=name)
    world.run("label", "1001", "defective", "--class", name, expected=name)
    world.run("classes", "pareto", "--since", "2020-01-01", "--until", "2040-01-01", expected=name)
    world.run("classes", "set", NASTY, "--severity", "minor", expected="one line of 1 to 64 letters")


def sheet(world: World) -> None:
    recorded(world)
    picture = world.folder / "[x]\x1b[2J.svg"
    world.run("sheet", "--output", str(picture), expected="[x]\\x1b[2J.svg")
    ElementTree.parse(picture)


def trace(world: World) -> None:
    recorded(world)
    world.run("trace", "1001")
    picture = world.folder / "part.svg"
    assert cli.main(["trace", "1001", "--config", str(world.config), "--picture", str(picture)]) == 0
    ElementTree.parse(picture)
    world.check(SHOWN_OF_FILES)


def recipe(world: World) -> None:
    world.run("recipe", "list")
    world.answering(refusing, "recipe", "select", "flange")
    (world.folder / "recipes" / "other.toml").write_text(
        f"number = 2\n[decision.limits]\nfail_area_mm2 = {json.dumps(IN_FILES)}\n"
    )
    world.run("recipe", "list", expected="[decision.limits] fail_area_mm2")
    world.run("recipe", "check", expected="[decision.limits] fail_area_mm2")


def engine(world: World) -> None:
    plain_engine = read_bundle(write_small_engine(world.folder / "plain", width=64, height=64))
    draft = plain_engine.manifest.model_copy(
        update={"detector": IN_FILES, "software": {IN_FILES: IN_FILES}, "map_score": None}
    )
    write_bundle(world.folder / "nasty", draft=draft, model=plain_engine.model, golden=plain_engine.golden)
    store = EngineStore(world.folder / "engines" / "flange")
    store.activate(store.add(world.folder / "nasty", why=IN_FILES), why=IN_FILES)
    damaged = store.add(world.folder / "plain", why=IN_FILES)
    world.run("engine", "list")
    world.run("engine", "show", "1")
    world.run("engine", "show", "1", "--json", expected="[/x]")
    (damaged.path / "manifest.json").write_text(json.dumps({"format_version": IN_FILES}))
    world.run("engine", "list", expected="[/x]")
    world.run("engine", "show", IN_FILES)
    world.run("engine", "import", str(world.folder / IN_FILES))
    world.run("engine", "compare", IN_FILES, "1")
    world.run("engine", "gate", IN_FILES)
    world.run("engine", "shadow", IN_FILES)
    run = ShadowRun(7, "shadow", IN_FILES, "e", "a", IN_FILES, "c", IN_FILES, offered=1)
    row = ShadowRow(7, IN_FILES, 1, 1, WALL_TIME, 0, "PASS", 0.1, "FAIL", 0.9, IN_FILES, 1.0)
    world.records(upsert_run(run), insert_shadow(row))
    world.run("engine", "shadow")
    said = {"kinds": {NASTY: 3}, "in_words": NASTY, "largest_difference": 0.0}
    done = Relearned(damaged, damaged, said, (NASTY,))
    kinds._show(done, argparse.Namespace(config=Path(NASTY)))
    world.check()


def teach_command(world: World) -> None:
    texts = dict.fromkeys(("preprocessing", "detector", "promise", "known_defects", "kinds"), NASTY)
    numbers = dict.fromkeys(("dirt_share", "masked_share", "reject_score", "review_score", "pixel_score"), 0.5)
    summary = Summary(
        images=30, removed=(NASTY,), couplings_used=True, held_out_scores={}, parity=0.0, graphs={NASTY: NASTY},
        reviews={}, finds=(NASTY,), pictures=(NASTY,), seconds=1.0, warnings=(NASTY,), **texts, **numbers,  # type: ignore[arg-type]
    )  # fmt: skip
    console().print(teach.summary_table(Path(NASTY), {"engine_id": "e" * 64, **asdict(summary)}))
    world.check()
    world.answering(refusing, "teach", "--parts", "20", "--output", str(world.folder / "new"))


def refresh_command(world: World) -> None:
    judged = Judged("FAIL", 0.5)
    figures = EngineFigures("e" * 64, 0, 0, 1, 0, 0, 0, 0, None)
    changed = (Changed(NASTY, NASTY, NASTY, judged, judged),)
    comparison = Comparison({NASTY: 1}, figures, figures, 1.0, None, changed, None, (NASTY,))
    write_small_engine(world.folder / "small", width=64, height=64)
    version = EngineStore(world.folder / "engines" / "flange").add(world.folder / "small", why="")
    refresh._show(Refreshed(version, comparison, (NASTY,)), Path(NASTY))
    world.check()
    page = markdown(replace(comparison, changed=(Changed("a|b\n# c", "k", NASTY, judged, judged),)))
    assert "| a\\|b # c |" in page
    assert "<b>" not in page
    page.encode()


def evaluate_command(world: World) -> None:
    result = {"protocol": "standard", "noise": NASTY, "detector": NASTY, "refine": NASTY, "image_auroc": 1.0}
    (world.folder / "results.json").write_text(json.dumps([{**result, "error": NASTY}]))
    assert evaluate._show(world.folder) == 1
    world.check()


def camera(world: World) -> None:
    say(camera_table([(NASTY, NASTY, NASTY, NASTY)]))
    world.check()


def plc(world: World) -> None:
    assert cli.main(["plc", "simulate", "--work", str(world.folder / "w"), "--images", str(world.folder / NASTY)]) == 2
    world.check()


def completion(world: World) -> None:
    """Prints what the station's own parsers say, and nothing of anybody else."""
    assert cli.main(["completion", "bash"]) == 0
    world.said()


def demo(world: World) -> None:
    assert cli.main(["demo", "--engine", str(world.folder / IN_FILES)]) == 2
    world.check(SHOWN_OF_FILES)


def backup(world: World) -> None:
    world.run("backup", str(world.folder / "[x]\x1b[2J.tar.gz"), expected="[x]\\x1b[2J.tar.gz")


def support_bundle(world: World) -> None:
    world.run("support-bundle", str(world.folder / "[x]\x1b[2J.tar.gz"), expected="[x]\\x1b[2J.tar.gz")


def pages(world: World) -> None:
    """Serves, and says nothing of anybody else; but for a configuration that is not there."""
    assert cli.main(["hmi", "--config", str(world.folder / "[x]\x1b[2J.toml")]) == 2
    world.check("[x]\\x1b[2J.toml")


def what_if(world: World) -> None:
    config = ["--config", str(world.folder / "[x]\x1b[2J.toml")]
    assert cli.main(["what-if", "--set", "decision.reject_score=0.5", *config]) == 2
    world.check("[x]\\x1b[2J.toml")
    assert cli.main(["what-if", "--set", "[x]\x1b[2J=0.5", *config]) == 2
    world.check("[x]\\x1b[2J.toml")


def report(world: World) -> None:
    assert cli.main(["report", "--config", str(world.folder / "[x]\x1b[2J.toml")]) == 2
    world.check("[x]\\x1b[2J.toml")


def user(world: World) -> None:
    world.run("user", "lock", "[x]\x1b[2J", expected="[x]\\x1b[2J")
    world.run("user", "withdraw", "[x]\x1b[2J", expected="[x]\\x1b[2J")


def plant(world: World) -> None:
    recorded(world)
    file = forwarding_beside(config.load_station(world.config).records_dir)
    with closing(Cursors(file)) as cursors:
        cursors.place("webhook", Cursor(1, IN_FILES, 1))
        cursors.failing("webhook", 1.0, IN_FILES)
    world.run("plant", "status")
    assert cli.main(["plant", "run", "--config", str(world.folder / "[x]\x1b[2J.toml")]) == 2
    world.check("[x]\\x1b[2J.toml")


def fleet(world: World) -> None:
    """Prints nothing that others wrote."""
    assert cli.main(["fleet", "schema"]) == 0
    assert "CREATE SCHEMA" in world.said()


def monitoring(world: World) -> None:
    stream = {"name": NASTY, "learned": 1.0, "changed": True, "detail": NASTY}
    state = {"state": "changed", "learned": 1.0, "drift": True, "standing": [NASTY], "left_out": 0, "streams": [stream]}
    world.answering(lambda: {"status": {"monitoring": state}}, "monitoring")


def quarantine(world: World) -> None:
    recorded(world)
    assert cli.main(["quarantine", "keep", "1001", "--why", "[x] <b>:smile:", "--config", str(world.config)]) == 0
    world.said()
    world.run("quarantine", "list", expected="[x] <b>:smile:")
    world.run("quarantine", "keep", "[x]\x1b[2J", "--why", "x", expected="[x]\\x1b[2J")


def batch(world: World) -> None:
    row = BatchRow(1, IN_FILES, IN_FILES, IN_FILES, IN_FILES, WALL_TIME, None, IN_FILES, "")
    world.records(upsert_batch(row))
    world.run("batch", "list")
    world.run("parts", "--batch", "9")
    reply = {"batch": asdict(replace(row, name=NASTY))}
    world.answering(lambda: reply, "batch", "begin", "8812")
    world.answering(refusing, "batch", "end")


def confirm(world: World) -> None:
    texts = dict.fromkeys(("rule", "what", "why", "asked_by", "via", "digest"), NASTY)
    waiting = {"number": 1, "asked_at": 1.0, "ends_at": 2.0, **texts}
    world.answering(lambda: {"rules": [NASTY], "waiting": [waiting]}, "confirm")
    world.answering(lambda: {"rules": [NASTY], "waiting": []}, "confirm")
    world.answering(refusing, "confirm", "1", "--yes")


def evidence(world: World) -> None:
    recorded(world)
    output = world.folder / "[x]\x1b[2J.zip"
    world.run("evidence", "1001", "--output", str(output), expected="[x]\\x1b[2J.zip")


def restore(world: World) -> None:
    world.run("restore", str(world.folder / "[x]\x1b[2J.tar.gz"), expected="[x]\\x1b[2J.tar.gz")


FED: dict[str, Callable[[World], None]] = {
    **{name: partial(one_word, command=name) for name in ("online", "offline", "clear", "reload")},
    "run": run_command,
    "status": status,
    "confirm": confirm,
    "check": check_command,
    "challenge": challenge,
    "msa": msa,
    "trends": trends,
    "process": process,
    "monitoring": monitoring,
    "parts": parts,
    "counts": counts,
    "show": show,
    "sheet": sheet,
    "label": label,
    "classes": classes,
    "quarantine": quarantine,
    "evidence": evidence,
    "batch": batch,
    "backup": backup,
    "support-bundle": support_bundle,
    "restore": restore,
    "hmi": pages,
    "report": report,
    "what-if": what_if,
    "user": user,
    "plant": plant,
    "fleet": fleet,
    "trace": trace,
    "teach": teach_command,
    "recipe": recipe,
    "audit": audit,
    "config": kept,
    "refresh": refresh_command,
    "engine": engine,
    "evaluate": evaluate_command,
    "camera": camera,
    "plc": plc,
    "demo": demo,
    "completion": completion,
}


def test_every_command_is_fed() -> None:
    assert FED.keys() == COMMANDS.keys()


STARTS_A_PROCESS = {"support-bundle"}
"""journalctl."""


@pytest.mark.parametrize(
    "command",
    [pytest.param(name, marks=[pytest.mark.system] if name in STARTS_A_PROCESS else []) for name in FED],
)
def test_text_of_others_is_text(command: str, world: World) -> None:
    FED[command](world)


def test_text_is_kept_where_it_can_be_shown() -> None:
    assert plain("größe 5 µm, 日本 ✓\n\ttwo") == "größe 5 µm, 日本 ✓\n\ttwo"
    assert plain(NASTY) == SHOWN
    assert plain("\r\x00\x9b\ufeff") == "\\r\\x00\\x9b\\ufeff"
