"""Every command about what is on record, with text of others in it."""

from __future__ import annotations

from dataclasses import asdict, replace
from xml.etree import ElementTree

from station.codes import ReasonCode
from station.commands import main as cli
from station.configuration import load as config
from station.line.recording.stage import Recorder, RecorderSettings
from station.records.audit import AuditRow, insert_audit
from station.records.batches.rows import BatchRow, upsert_batch
from station.records.configurations import KeptFile, keep_file
from station.results import Decision, Reason, Verdict
from tests.bench.sample_parts import WALL_TIME, PartMaker
from tests.commands.fed_world import IN_FILES, NASTY, SHOWN_OF_FILES, World, refusing


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


def what_if(world: World) -> None:
    config = ["--config", str(world.folder / "[x]\x1b[2J.toml")]
    assert cli.main(["what-if", "--set", "decision.reject_score=0.5", *config]) == 2
    world.check("[x]\\x1b[2J.toml")
    assert cli.main(["what-if", "--set", "[x]\x1b[2J=0.5", *config]) == 2
    world.check("[x]\\x1b[2J.toml")


def report(world: World) -> None:
    assert cli.main(["report", "--config", str(world.folder / "[x]\x1b[2J.toml")]) == 2
    world.check("[x]\\x1b[2J.toml")


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


def evidence(world: World) -> None:
    recorded(world)
    output = world.folder / "[x]\x1b[2J.zip"
    world.run("evidence", "1001", "--output", str(output), expected="[x]\\x1b[2J.zip")
