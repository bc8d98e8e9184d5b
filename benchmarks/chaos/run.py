"""One run: line, station and faults side by side, then the accounts."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import tempfile
import time
from collections import Counter, deque
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks.chaos.accounts import Dark, Sample, memory, read_records, settle
from benchmarks.chaos.doing import Doing, Site
from benchmarks.chaos.schedule import Kind, What, schedule
from benchmarks.chaos.surroundings import EXIT_BAD_INPUT, Clock, Disk, Keeper, Life, disk_in
from benchmarks.soak import HEIGHT, WIDTH, schedule_parts
from engines.store.store import EngineStore
from station.control import ControlError, request
from station.simulation.parts.pictures import Canvas
from station.simulation.parts.schedule import LineSchedule
from station.simulation.run.processes import LineProcess
from station.simulation.run.workspace import DEADLINE_MS, MAX_PARTS_IN_FLIGHT
from tests.bench.engines.small_engine import write_small_engine

TURN_S = 0.02
AHEAD = 60
"""Parts that may come beyond those that have left the belt."""
SAMPLE_S = 5.0
SAY_S = 60.0
NOT_READY_S = 90.0
"""Longest time until a station is ready again; a start takes some seconds of a core."""
STALLED_S = 180.0
SETTLED_S = 180.0
BEFORE_S = 1.5
"""A part that was triggered so long before a process ended may not have come to its end in it."""
AFTER_S = 0.3
CLEAR_FAULT_AFTER_S = 2.0
RECIPES = ("one", "two")
REJECT_SCORES = (40.0, 41.0, 42.0)
"""Of the engines: all have the same verdict of the two pictures."""
DARKENS = frozenset({What.DAEMON}) | {What.CAMERA}
SHORT_OF_A_FRAME = frozenset({Kind.INCOMPLETE_FRAME, Kind.LOST_FRAME, Kind.LATE_FRAME})
"""Faults of a camera that is still there: each of their pulses has to be accounted for."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be run."""

    parts: int
    faults: int
    rate_per_s: float = 20.0
    seed: int = 1
    minutes: float | None = None
    kinds: Collection[Kind] = tuple(Kind)


class RunStalled(Exception):
    """The line itself does not move any more."""


def run(work: Path, asked: Asked, console: Console) -> dict[str, Any]:
    """Runs it in the folder `work`; the figures and the problems."""
    work.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        runtime = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-", dir="/dev/shm")))
        disk = stack.enter_context(disk_in(work))
        made = _Run(work, runtime, disk, asked, stack)
        try:
            made.drive(console)
        finally:
            code = made.end()
        return made.account(code)


class _Run:
    """Everything of one run, and what was seen of it."""

    def __init__(self, work: Path, runtime: Path, disk: Disk, asked: Asked, stack: contextlib.ExitStack) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = int(probe.getsockname()[1])
        parts = schedule_parts(asked.parts, work, asked.seed)
        plan = LineSchedule(
            canvas=Canvas(WIDTH, HEIGHT, 1),
            parts=parts,
            rate_per_s=asked.rate_per_s,
            transit_s=DEADLINE_MS / 1000 + 0.5,
            scene_prefix=str(work / "camera"),
            plc_host="127.0.0.1",
            plc_port=port,
            seed=asked.seed,
            clear_fault_after_s=CLEAR_FAULT_AFTER_S,
        )
        plan.save(work / "schedule.json")
        configuration = _write_configuration(work, runtime, disk, port)
        store, archive = _engines(work)
        clock = Clock(work)
        self._asked = asked
        self._disk = disk
        self._truths = {part.serial: part.truth for part in parts}
        self._line = stack.enter_context(LineProcess(work / "schedule.json", work))
        environment = self._line.wait_ready()
        self._keeper = Keeper(configuration, work / "station.log", environment | clock.environment())
        self._socket = disk.folder / "work" / "control.sock"
        site = Site(
            line=self._line,
            keeper=self._keeper,
            disk=disk,
            clock=clock,
            configuration=configuration,
            control_socket=self._socket,
            port=port,
            store=store,
            archive=archive,
            recipes=RECIPES,
            scratch=work,
        )
        self._clock = clock
        self._doing = Doing(site)
        self._faults = deque(schedule(asked.parts, asked.faults, asked.seed, asked.kinds))
        self._dark: list[Dark] = []
        self._dark_since_s: float | None = None
        self._dark_at_least_s = 0.0
        self._not_ready_since_s: float | None = None
        self._longest_not_ready_s = 0.0
        self._samples: list[Sample] = []
        self._sample_at_s = 0.0
        self._allowed = 0
        self._began_s = time.monotonic()
        self._fed_out_s = 0.0
        self._settled = False

    # ---- while it runs ------------------------------------------------------------------------------------------

    def drive(self, console: Console) -> None:
        """Until all parts have left the belt and the station has settled. Raises RunStalled, ProcessEnded."""
        end_s = time.monotonic() + START_S
        while not self._line.state.trigger_ready:
            self._turn()
            if time.monotonic() > end_s:
                raise RunStalled("the station was never ready; see station.log in --work")
        self._began_s = said_s = time.monotonic()
        with _progress(console) as progress:
            bar = progress.add_task("parts", total=self._asked.parts)
            while not self._is_over():
                left = len(self._line.state.ends)
                while self._faults and self._faults[0].at_part <= left and not self._fed_out_s:
                    self._doing.take(self._faults.popleft())
                self._feed(left)
                self._turn()
                progress.update(bar, completed=left, description=f"parts, {self._count()} faults")
                if time.monotonic() - said_s > SAY_S and not console.is_terminal:
                    said_s = time.monotonic()
                    console.print(self.line_of_progress(left))
                if time.monotonic() - self._line.state.last_event_s > STALLED_S:
                    raise RunStalled(f"nothing has moved on the line for {STALLED_S:.0f} s after {left} parts")
        self._settle()

    def line_of_progress(self, left: int) -> str:
        """For who follows a run in a file."""
        passed_s = time.monotonic() - self._began_s
        sample = self._samples[-1] if self._samples else None
        memory_mb = f"{sample.memory_mb:.0f} MB" if sample else "?"
        problems = len(self._doing.done.problems)
        return (
            f"{passed_s:6.0f} s  {left} parts, {self._count()} faults, {len(self._keeper.lives)} starts, {memory_mb}, "
            f"not ready for at most {self._longest_not_ready_s:.1f} s, {problems} problems so far"
        )

    def _count(self) -> int:
        return sum(self._doing.done.begun.values())

    def _feed(self, left: int) -> None:
        minutes = self._asked.minutes
        if minutes is not None and time.monotonic() - self._began_s > 60 * minutes:
            self._fed_out_s = self._fed_out_s or time.monotonic()
        if self._fed_out_s:
            return
        more = min(left + AHEAD, self._asked.parts) - self._allowed
        if more > 0 and (more > AHEAD // 4 or self._allowed + more == self._asked.parts):
            self._line.feed(more)
            self._allowed += more
        if self._allowed == self._asked.parts:
            self._fed_out_s = time.monotonic()
            while self._faults:
                self._doing.take(self._faults.popleft())

    def _is_over(self) -> bool:
        state = self._line.state
        return bool(self._fed_out_s) and len(state.ends) >= self._allowed <= len(state.judgements)

    def _turn(self) -> None:
        now_s = time.monotonic()
        self._line.check()
        lives = len(self._keeper.lives)
        self._keeper.step()
        if len(self._keeper.lives) > lives > 0:
            self._darken(now_s, 0.0)
        for fault in self._doing.step(now_s):
            if fault.touches in DARKENS and fault.kind not in SHORT_OF_A_FRAME:
                self._darken(now_s, fault.lasts_s)
        self._look(now_s)
        if now_s >= self._sample_at_s:
            self._sample_at_s = now_s + SAMPLE_S
            self._sample(now_s)
        time.sleep(TURN_S)

    def _darken(self, now_s: float, lasts_s: float) -> None:
        if self._dark_since_s is None:
            self._dark_since_s = now_s - BEFORE_S
        self._dark_at_least_s = max(self._dark_at_least_s, now_s + lasts_s + SEEN_S)

    def _look(self, now_s: float) -> None:
        ready = self._line.state.trigger_ready
        if ready:
            self._not_ready_since_s = None
            if self._dark_since_s is not None and now_s >= self._dark_at_least_s:
                self._dark.append(Dark(self._dark_since_s, now_s + AFTER_S))
                self._dark_since_s = None
            return
        if self._not_ready_since_s is None:
            self._not_ready_since_s = now_s
        self._longest_not_ready_s = max(self._longest_not_ready_s, now_s - self._not_ready_since_s)

    def _sample(self, now_s: float) -> None:
        if (pid := self._keeper.pid) is None:
            return
        with contextlib.suppress(OSError, IndexError, ValueError):
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            files = len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208  a count, no paths
            threads = len(os.listdir(f"/proc/{pid}/task"))  # noqa: PTH208
            # the PLC takes a moment to see that a station is another one
            ready = self._line.state.trigger_ready and now_s - self._keeper.lives[-1].began_s > SEEN_S
            taken_mb = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
            self._samples.append(Sample(pid, now_s, taken_mb, files, threads, ready))

    def _settle(self) -> None:
        """Until no fault lasts and the station has nothing more to record."""
        end_s = time.monotonic() + SETTLED_S
        while time.monotonic() < end_s:
            self._turn()
            if not (self._doing.is_quiet and self._line.state.trigger_ready):
                continue
            try:
                status = request(self._socket, {"command": "status"})["status"]
            except ControlError:
                continue
            if not status["in_flight"] and not status["records"]["waiting"]:
                self._settled = True
                return

    def end(self) -> int | None:
        """Takes all faults back and ends the station; its exit code."""
        self._doing.close()
        return self._keeper.end(SETTLED_S)

    # ---- afterwards ---------------------------------------------------------------------------------------------

    def account(self, code: int | None) -> dict[str, Any]:
        """The figures and the problems."""
        if self._dark_since_s is not None:
            self._dark.append(Dark(self._dark_since_s, time.monotonic()))
        state, done = self._line.state, self._doing.done
        recorded = read_records(self._disk.folder / "work" / "records")
        figures, problems = settle(self._truths, state, recorded, self._dark)
        taken, growing = memory(self._samples)
        problems += growing + done.problems + self._problems_of_lives(code)
        slow = []
        if not self._settled:
            slow.append(f"the station had not settled {SETTLED_S:.0f} s after the last part")
        if self._longest_not_ready_s > NOT_READY_S:
            slow.append(f"the station was not ready for {self._longest_not_ready_s:.0f} s")
        seconds = (self._fed_out_s or time.monotonic()) - self._began_s
        return {
            "asked": {"parts": self._asked.parts, "faults": self._asked.faults, "seed": self._asked.seed},
            "rate_per_s": round(len(state.ends) / max(seconds, 0.1), 2),
            "seconds": round(seconds),
            "own_disk": self._disk.is_own,
            **figures,
            "faults": {"in_all": self._count(), **dict(sorted(done.begun.items()))},
            "faults_without_a_camera": dict(state.faults_not_taken),
            "outcomes": dict(sorted(done.outcomes.items())),
            "starts": len(self._keeper.lives),
            "ends": dict(Counter(f"{life.asked or 'by itself'}: {life.code}" for life in self._keeper.lives)),
            "longest_time_not_ready_s": round(self._longest_not_ready_s, 1),
            "dark_s": round(sum(gap.until_s - gap.from_s for gap in self._dark), 1),
            "belt_waited_s": state.belt_waited_s,
            "memory": taken,
            "slow": slow,
            "problems": problems,
        }

    def _problems_of_lives(self, code: int | None) -> list[str]:
        problems = [] if code == 0 else [f"the last SIGTERM ended the station with {code}"]
        for life in self._keeper.lives[:-1]:
            allowed = {"SIGKILL": {-9}, "SIGTERM": {0}}.get(life.asked, set())
            if life.code in allowed or (life.code == EXIT_BAD_INPUT and self._was_refused(life)):
                continue
            after_s = life.ended_s - life.began_s
            problems.append(f"a station ended with {life.code} after {after_s:.1f} s ({life.asked or 'not asked to'})")
        return problems

    def _was_refused(self, life: Life) -> bool:
        """It started while somebody had broken its configuration or its store."""
        return any(
            life.began_s < until_s and from_s < life.ended_s for from_s, until_s in self._doing.done.broken_files_s
        )


START_S = 300.0
SEEN_S = 0.5
"""Until the PLC sees that a station is gone."""


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        refresh_per_second=2,
        disable=not console.is_terminal,
    )


def _engines(work: Path) -> tuple[EngineStore, bytes]:
    """A store with a few engines that decide alike, and an archive of one."""
    store = EngineStore(work / "engines" / "small")
    (work / "engines").mkdir()
    for number, reject in enumerate(REJECT_SCORES):
        folder = work / f"engine-{number}"
        write_small_engine(folder, width=WIDTH, height=HEIGHT, reject_score=reject)
        store.add(folder, why="chaos")
        shutil.rmtree(folder)
    store.activate(store.versions()[0], why="chaos")
    file = work / "good.engine"
    store.export(store.versions()[0], file)
    return store, file.read_bytes()


def _write_configuration(work: Path, runtime: Path, disk: Disk, port: int) -> Path:
    (work / "recipes").mkdir()
    for number, name in enumerate(RECIPES, start=1):
        (work / "recipes" / f"{name}.toml").write_text(
            f"number = {number}\n[cameras.demo]\nexposure_time_us = {500.0 + 10 * number}\n"
        )
    path = work / "station.toml"
    path.write_text(
        f"""[station]
work_dir = {json.dumps(str(disk.folder / "work"))}
runtime_dir = {json.dumps(str(runtime / "run"))}
deadline_ms = {DEADLINE_MS}
max_parts_in_flight = {MAX_PARTS_IN_FLIGHT}

[cameras.demo]
producer = "simtl"
pixel_format = "Mono8"
width = {WIDTH}
height = {HEIGHT}
exposure_time_us = 500.0
reconnect_min_s = 0.1

[engine]
store = "engines"
product = "small"
threads = 1

[recipe]
active = "{RECIPES[0]}"

[decision]

[plc]
port = {port}

[records]
min_free_mb = 20
disk_budget_mb = 40
pass_image_share = 0.02

[log]
level = "warning"
"""
    )
    return path
