"""Ten million parts: what pages, API, commands, a report, a what-if, rollups, new indexes and retention take.

    nice -n 19 python -m benchmarks.records_scale [--count 10000000] [--records DIR] [--folder DIR] [--json FILE]

Makes the records by SQL (2.5 minutes, 5 GB at ten million) unless `--records` names a folder that has them. Every
address is asked over HTTP, as a browser would: once with nothing of the records in the memory of the computer (cold),
then five times (warm). Where other programs run, wall time says how busy the computer is and processor time what a page
costs, so both are kept, with the load average at that moment.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from station.access import shared_folder
from station.commands import main as cli
from station.hmi import site
from station.hmi.api.endpoints import BASE
from station.line.recording.row_retention import RowRetention
from station.line.recording.writer import RecordWriter
from station.records.rollups.counting import counted_with
from station.records.rollups.taking_in import FILE, opened, take_in
from station.records.schema import DATABASE_FILE, open_reader, open_writer
from station.records.selection import INDEXES, Selection
from tests.bench.many_parts import STEP_S, ManyParts, fill
from tests.bench.pages import Client, Pages, serving
from tests.hmi.test_query_plans import paths
from tests.jobs.what_if.world import world

STEPS = ("what_if", "migration", "rollups", "addresses", "commands_s", "report", "retention")
PATIENCE_S = 600.0
IN_A_SHIFT = 50_000
OF_A_WHAT_IF = 50_000
DELETED = 100_000
BUDGET_MS = 300.0
"""Of a page, and of a question to the API, at ten million parts."""
OLD_INDEXES = (
    "CREATE INDEX parts_by_part_id ON parts (part_id)",
    "CREATE INDEX parts_not_passed ON parts (wall_time) WHERE verdict <> 'PASS'",
)
Timed = dict[str, Any]


def timed(run: Callable[[], object]) -> float:
    """Seconds."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def migration(records: Path) -> Timed:
    """A station of before opens its records with this version: the seconds that the start takes longer."""
    with closing(sqlite3.connect(records / DATABASE_FILE)) as connection:
        for statement in INDEXES:
            if "CREATE" in statement:
                connection.execute(f"DROP INDEX {statement.split()[5]}")
        for statement in OLD_INDEXES:
            connection.execute(statement)
        before = connection.execute("PRAGMA page_count").fetchone()[0]
        free = connection.execute("PRAGMA freelist_count").fetchone()[0]
    seconds = timed(lambda: open_writer(records / DATABASE_FILE).close())
    with closing(sqlite3.connect(records / DATABASE_FILE)) as connection:
        after = connection.execute("PRAGMA page_count").fetchone()[0]
        grown = after - before + free - connection.execute("PRAGMA freelist_count").fetchone()[0]
    return {"s": round(seconds, 1), "larger_mb": round(grown * 4096 / 1e6)}


def rollups(records: Path, own: Path) -> Timed:
    """They are built, and say what a full count says."""
    with opened(own / FILE) as kept, closing(open_reader(records)) as connection:
        build_s = timed(lambda: take_in(kept, connection, 3600.0))
        found: dict[str, int] = {}
        whole_s = timed(lambda: found.update(_by_verdict(counted_with(kept, connection, Selection(), "recipe"))))
        rows: dict[str, int] = {}
        query = "SELECT verdict, COUNT(*) FROM parts GROUP BY verdict"
        full_s = timed(lambda: rows.update(dict(connection.execute(query).fetchall())))
        count = kept.execute("SELECT COUNT(*) FROM rollups").fetchone()[0]
    assert found == rows, (found, rows)
    return {
        "build_s": round(build_s, 1), "rows": count, "mb": round((own / FILE).stat().st_size / 1e6, 1),
        "count_of_all_ms": round(1000 * whole_s, 1), "full_count_ms": round(1000 * full_s, 1), "equal": True,
    }  # fmt: skip


def _by_verdict(found: list[tuple[Any, Any, int]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for _, verdict, number in found:
        sums[verdict.name] = sums.get(verdict.name, 0) + number
    return sums


def addresses(pages: Pages, made: ManyParts, repeats: int) -> Timed:
    """Milliseconds of every page and endpoint."""
    secret = pages.site.tokens.make(f"benchmark {os.getpid()}", ["read", "audit"], 10, "benchmark", via="benchmark")
    people = {role: pages.client(role) for role in ("quality", "maintenance", "integrator")}
    for person in people.values():
        person.timeout_s = PATIENCE_S

    def ask(path: str) -> None:
        if path.startswith((BASE, "/metrics", "/healthz")):
            got = Client(pages.port, timeout_s=PATIENCE_S).ask(
                "GET", path, headers={"Authorization": f"Bearer {secret}"}
            )
        else:
            role = "integrator" if path.startswith("/setup") else "quality"
            role = "maintenance" if path.startswith(("/health", "/challenge", "/engines", "/teach")) else role
            got = people[role].get(path)
        if got.status not in (200, 503) or b"took more than" in got.body:
            raise RuntimeError(f"{path}: {got.status} {got.body[:300]!r}")

    asked = [path.replace("limit=200", "limit=1000") for path in paths(made)]
    for path in (
        ["/review"] * 60 + asked if repeats > 1 else ()
    ):  # the intake of the review queue takes in a day, a bit at each look
        ask(path)
    found = {}
    for path in asked:
        forget(pages.site.records / DATABASE_FILE)
        began = time.process_time()  # pages and browser are threads of this process
        cold = timed(lambda one=path: ask(one))  # type: ignore[misc]
        warmed = time.process_time()
        times = sorted(timed(lambda one=path: ask(one)) for _ in range(repeats))  # type: ignore[misc]
        processor = (time.process_time() - warmed) / repeats
        milliseconds = {"cold_ms": cold, "cold_cpu_ms": warmed - began, "median_ms": times[len(times) // 2],
                        "max_ms": times[-1], "cpu_ms": processor}  # fmt: skip
        found[path] = {name: round(1000 * value, 1) for name, value in milliseconds.items()}
        found[path]["load"] = round(os.getloadavg()[0], 1)
        print(path, found[path], flush=True)
    return found


def forget(file: Path) -> None:
    """Nothing of a file stays in the memory of the computer: what is asked next comes from the disk."""
    with file.open("rb") as opened_file:
        os.fsync(opened_file.fileno())
        os.posix_fadvise(opened_file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def within_budget(found: Timed) -> Timed:
    """How many addresses keep the budget of a page, by each measure, and those that do not."""
    return {
        name: {
            "kept": sum(times[name] <= BUDGET_MS for times in found.values()),
            "over": {path: times[name] for path, times in found.items() if times[name] > BUDGET_MS},
        }
        for name in ("cold_ms", "cold_cpu_ms", "median_ms", "cpu_ms")
    }


def slowest(found: Timed, name: str) -> Timed:
    """Five addresses."""
    return {path: times[name] for path, times in sorted(found.items(), key=lambda item: -item[1][name])[:5]}


def commands(pages: Pages, made: ManyParts) -> Timed:
    """Seconds of a command, in this process."""
    session, number = made.key_of(made.count // 2)
    place = ["--config", str(pages.site.station.path)]
    found = {}
    for command in (
        ["parts"], ["parts", "--verdict", "error"], ["parts", "--recipe", "washer"], ["parts", "--reason", "22"],
        ["counts"], ["counts", "--by", "reason"], ["counts", "--since", "8h"], ["show", "last"],
        ["show", str(made.count // 2)], ["show", str(number), "--acquisition"],
        ["trace", str(number), "--acquisition", "--session", session],
    ):  # fmt: skip
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            found[" ".join(command)] = round(timed(lambda one=command: cli.main([*one, *place])), 3)  # type: ignore[misc]
    return found


@contextlib.contextmanager
def longest_gap() -> Iterator[list[float]]:
    """The longest time from one statement to the next on one connection: no read transaction lasts longer."""
    found = [0.0, time.perf_counter()]
    connect = shared_folder.connected  # nothing else sees every connection

    def listening(file: Path, how: str, timeout_s: float) -> tuple[sqlite3.Connection, int]:
        connection, version = connect(file, how, timeout_s)

        def heard(_statement: str) -> None:
            now = time.perf_counter()
            found[0] = max(found[0], now - found[1])
            found[1] = now

        found[1] = time.perf_counter()
        connection.set_trace_callback(heard)
        return connection, version

    shared_folder.connected = listening
    try:
        yield found
    finally:
        shared_folder.connected = connect


def report(pages: Pages, made: ManyParts) -> Timed:
    """A shift of 50,000 parts in the middle of the records, as a process of its own: page, PDF, CSV, Parquet, data."""
    begin = made.time_of(made.count // 2)
    span = ["--since", _iso(begin), "--until", _iso(begin + IN_A_SHIFT * STEP_S)]
    output = [str(pages.folder / f"report{end}") for end in (".html", ".pdf", ".csv", ".parquet", ".json")]
    place = ["--config", str(pages.site.station.path)]
    arguments = [sys.executable, "-m", "station", "report", *span, *place, "--output", *output]
    began, before = time.perf_counter(), os.times()
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    seconds, after = time.perf_counter() - began, os.times()
    if done.returncode:
        raise RuntimeError(done.stderr)
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    with longest_gap() as gap, contextlib.redirect_stdout(io.StringIO()):
        cli.main(["report", *span, *place, "--output", str(pages.folder / "again.csv")])
    sizes = {Path(file).suffix: round(Path(file).stat().st_size / 1000) for file in output}
    return {"s": round(seconds, 1), "cpu_s": round(processor, 1), "kb": sizes, "longest_read_s": round(gap[0], 3)}


def _iso(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(moment))


def what_if(folder: Path, repeats: int) -> Timed:
    """50,000 parts under other limits, as a process of its own: how long it takes, and how long its start."""
    made = world(folder)
    records = made.now.records_dir
    fill(records, OF_A_WHAT_IF + 10_000, engine_id=made.engine_id, config_checksum=made.now.checksum)
    with closing(sqlite3.connect(records / DATABASE_FILE)) as connection, connection:
        recipe = (made.now.settings.recipe.name, made.now.recipe_checksum)
        connection.execute("UPDATE parts SET recipe = ?, recipe_checksum = ?", recipe)
    command = [sys.executable, "-m", "station", "what-if", "--config", str(made.config), "--set"]
    surroundings = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    surroundings["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")  # an installed station is compiled
    subprocess.run([*command, "decision.reject_score=0.3"], env=surroundings, capture_output=True, check=True)
    found: Timed = {}
    for name, sets, newest in (
        ("start", "decision.reject_score=0.3", 1),
        ("score", "decision.reject_score=0.3", OF_A_WHAT_IF),
        ("regions", "decision.limits.fail_length_mm=2.5", OF_A_WHAT_IF),
    ):
        times, processor = [], []
        for _ in range(repeats):
            before = os.times()
            run = [*command, sets, "--newest", str(newest)]
            times.append(timed(lambda one=run: subprocess.run(one, env=surroundings, capture_output=True, check=True)))  # type: ignore[misc]
            after = os.times()
            processor.append(
                after.children_user + after.children_system - before.children_user - before.children_system
            )
        found[name] = {"s": round(sorted(times)[repeats // 2], 2), "cpu_s": round(sorted(processor)[repeats // 2], 2)}
    return found


def retention(records: Path) -> Timed:
    """The oldest 100,000 parts go: how long a transaction of the one writer is."""
    rows = RowRetention(records, "benchmark", keep_days=36_500, budget_mb=64, remove_images=lambda _paths: None)
    writer = RecordWriter(records / DATABASE_FILE)
    writer.open()
    looks, writes, gone = [], [], 0
    with closing(open_reader(records)) as connection:
        first = connection.execute("SELECT MIN(id) FROM parts").fetchone()[0]
    while gone < DELETED:
        began = time.perf_counter()
        statements = rows.step()
        looked = time.perf_counter()
        if not statements:
            break
        writer.write(statements)
        looks.append(looked - began)
        writes.append(time.perf_counter() - looked)
        with closing(open_reader(records)) as connection:
            gone = connection.execute("SELECT MIN(id) FROM parts").fetchone()[0] - first
    writer.close()
    looks.sort()
    writes.sort()
    ms = {
        f"{name}_{share}": round(1000 * times[min(len(times) - 1, int(len(times) * quantile))], 1)
        for name, times in (("look_ms", looks), ("transaction_ms", writes))
        for share, quantile in (("p50", 0.5), ("p99", 0.99), ("max", 1.0))
    }
    return {"parts": gone, "batches": len(writes), **ms}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000_000)
    parser.add_argument("--records", type=Path, help="a folder of records that this made before")
    parser.add_argument("--folder", type=Path, default=None, help="where to work; default: a temporary one")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS)
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        found: Timed = {"count": options.count, "cores": os.cpu_count(), "load_before": os.getloadavg()}

        def step(name: str, run: Callable[[], object]) -> None:
            if name in STEPS and name not in options.steps:
                return
            found[name] = run()
            print(name, json.dumps(found[name]), flush=True)

        (folder / "what_if").mkdir(exist_ok=True)
        step("what_if", lambda: what_if(folder / "what_if", options.repeats))
        site.LOOK_S = 60.0  # on a machine that others use, too, a look is waited for, and its time is in the result
        pages = stack.enter_context(serving(folder))
        records = pages.site.records
        if options.records is None:
            began = time.perf_counter()
            made = fill(records, options.count, now=time.time())
            step("made_s", lambda: round(time.perf_counter() - began, 1))
        else:
            records.parent.mkdir(parents=True, exist_ok=True)
            records.symlink_to(options.records.resolve())
            with closing(open_reader(records)) as connection:
                last = connection.execute("SELECT MAX(wall_time) FROM parts").fetchone()[0]
            made = ManyParts(records, options.count, last + STEP_S)
        step("mb", lambda: round((records / DATABASE_FILE).stat().st_size / 1e6))
        step("migration", lambda: migration(records))
        step("rollups", lambda: rollups(records, pages.site.own_dir))
        step("addresses", lambda: addresses(pages, made, options.repeats))
        if "addresses" in found:
            step("budget", lambda: within_budget(found["addresses"]))
        for name in ("cold_ms", "cold_cpu_ms", "median_ms", "cpu_ms") if "addresses" in found else ():
            step(f"slowest_{name}", lambda: slowest(found["addresses"], name))  # noqa: B023  run at once
        step("commands_s", lambda: commands(pages, made))
        step("report", lambda: report(pages, made))
        step("retention", lambda: retention(records))
        found["load_after"] = os.getloadavg()
        if options.json is not None:
            options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
