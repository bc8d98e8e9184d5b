"""Every command, with text of others wherever others may have written."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from engines.bundle.reading import read_bundle
from engines.bundle.writing import write_bundle
from engines.store.store import EngineStore
from engines.training.summary import Summary
from station.codes import ReasonCode
from station.commands import main as cli
from station.commands.camera import camera_table
from station.commands.engines import evaluate, kinds, refresh, teach
from station.commands.northbound import fleet_refresh
from station.configuration import load as config
from station.fleet.refreshing.jobs import Job
from station.forwarding.progress import Cursor, Cursors, forwarding_beside
from station.jobs.comparison import Changed, Comparison, EngineFigures, Judged, markdown
from station.jobs.kinds.relearning import Relearned
from station.jobs.refresh import Refreshed
from station.msa.storage import Rating, plan, rate, studies_beside
from station.msa.study import KnownPart, Study
from station.process.storage import PROCESS_FILE, Finding, Writer
from station.records.challenge_runs import MasterPart, Outcome, Run, RunVerdict, Step
from station.records.challenges import ChallengeRow, upsert_challenge
from station.records.engines.shadows import ShadowRow, ShadowRun, insert_shadow, upsert_run
from station.results import Verdict
from station.terminal import console, say
from station.trends.reading import TRENDS_FILE
from tests.bench.engines.small_engine import write_small_engine
from tests.bench.sample_parts import WALL_TIME
from tests.commands.fed_records import (
    audit,
    batch,
    classes,
    counts,
    evidence,
    kept,
    label,
    parts,
    quarantine,
    recorded,
    report,
    sheet,
    show,
    trace,
    what_if,
)
from tests.commands.fed_world import IN_FILES, NASTY, SHOWN, SHOWN_OF_FILES, World, refusing, state


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
    texts = dict.fromkeys(("preprocessing", "detector", "promise", "suspects", "known_defects", "kinds"), NASTY)
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
    assert cli.main(["fleet", "schema"]) == 0
    assert "CREATE SCHEMA" in world.said()
    texts = dict.fromkeys(("round", "station", "recipe", "asked_by", "worker", "step", "detail", "product"), IN_FILES)
    empty: dict[str, Any] = dict.fromkeys(field.name for field in fields(Job))
    counts = {"number": 1, "tries": 1, "most_tries": 3, "step_done": 0, "step_total": 1}
    for how in ("running", "failed"):
        fleet_refresh._show_jobs([Job(**{**empty, **counts, **texts, "state": how})])
        world.check(SHOWN_OF_FILES)


def monitoring(world: World) -> None:
    stream = {"name": NASTY, "learned": 1.0, "changed": True, "detail": NASTY}
    state = {"state": "changed", "learned": 1.0, "drift": True, "standing": [NASTY], "left_out": 0, "streams": [stream]}
    world.answering(lambda: {"status": {"monitoring": state}}, "monitoring")


def confirm(world: World) -> None:
    texts = dict.fromkeys(("rule", "what", "why", "asked_by", "via", "digest"), NASTY)
    waiting = {"number": 1, "asked_at": 1.0, "ends_at": 2.0, **texts}
    world.answering(lambda: {"rules": [NASTY], "waiting": [waiting]}, "confirm")
    world.answering(lambda: {"rules": [NASTY], "waiting": []}, "confirm")
    world.answering(refusing, "confirm", "1", "--yes")


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
