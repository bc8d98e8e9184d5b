"""What the line feels of people who look: overhead of a part with viewers against none, in pairs, in one run.

    python -m benchmarks.hmi_line --engine DIR [--pairs 5] [--parts 500] [--rate 10] [--viewers 10] [--works 1]
                                  [--kills 100] [--stops 10] [--json FILE]

1. Processor time of the pages' process at 5 parts a second, without anybody and with the viewers alone.
2. One half of a pair is `benchmarks.line_path`'s first part as it is; in the other one `station hmi` runs beside it, as
   many viewers as given ask for one message after the other, as open pages do (they draw nothing: browsers
   run elsewhere), and a report with PDF and a what-if are made (`--works 0`: one after the other without an end).
   Which half comes first changes from pair to pair.
3. `station hmi` is killed with SIGKILL again and again, and stopped with SIGSTOP for seconds, while pages are asked
   of it: the line loses no part, and the write-ahead log of the records stays small.

Line and pages have the priority that their services give them, so it starts as root. For a machine that nothing else
uses.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from benchmarks.line_path import overhead, pictures_for
from station.access.accounts import PEOPLE_ROLES
from station.configuration.load import load_station
from station.hmi.app import accounts_of
from station.line.inspection.loading import engine_threads
from station.simulation.run.processes import end_with_starter, stopped_in_order
from tests.bench.pages import COOKIE, HOST, PASSWORD, Client

START_S = 60.0
SETTLE_S, ALONE_S = 3.0, 12.0
MEASURED_RATE = 5.0
"""Parts a second at which the budgets of the pages hold."""
STOPPED_S = 3.0
ALIVE_S = 0.6
"""Between two kills: long enough to be asked something."""
STATION_NICE, PAGES_NICE = -10, 5
"""As systemd/station.service and station-hmi.service; camera and PLC, machines of their own, get the station's."""
TICKS = os.sysconf("SC_CLK_TCK")


def with_priority(nice: int) -> Callable[[], None]:
    """For `preexec_fn`: two system calls, no lock. The process has the priority of its service, whoever starts it."""

    def as_the_service() -> None:
        end_with_starter()
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        os.setpriority(os.PRIO_PROCESS, 0, nice)

    return as_the_service


def be_the_line(parser: argparse.ArgumentParser) -> None:
    """From now on this process, and what it starts, has the priority of the station."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, STATION_NICE)
    except PermissionError:
        parser.error(f"the line needs the priority of its service (nice {STATION_NICE}): start this benchmark as root")


def halves(pairs: int) -> Iterator[tuple[int, bool]]:
    """Number of the pair, and whether something runs beside the line: first without, in the next pair first with it."""
    for pair in range(pairs):
        yield from ((pair, is_beside) for is_beside in ((False, True) if pair % 2 == 0 else (True, False)))


class Served:
    """`station hmi` as a process."""

    def __init__(self, config: Path) -> None:
        command = [sys.executable, "-m", "station", "hmi", "--config", str(config), "--port", "0"]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            preexec_fn=with_priority(PAGES_NICE),  # noqa: PLW1509  see there
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(rf"pages: http://{re.escape(HOST)}:(\d+)/", line):
                self.port = int(found[1])
                return
        raise SystemExit("the pages did not start")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def cpu_s(self) -> float:
        """Of a processor, until now."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


class Beside(threading.Thread):
    """What runs beside the line until `stop`; a failure of it is raised there.

    Browsers run on computers of their own: these threads take the processor only where nothing of the station wants it.
    """

    def __init__(self, config: Path) -> None:
        super().__init__(name=type(self).__name__)
        self.config = config
        self.ends = threading.Event()
        self._failure: BaseException | None = None
        self.start()

    def run(self) -> None:
        os.sched_setscheduler(threading.get_native_id(), os.SCHED_IDLE, os.sched_param(0))
        end = time.monotonic() + START_S
        while not self.config.is_file() and time.monotonic() < end and not self.ends.wait(0.05):
            pass
        try:
            self.go()
        except BaseException as failure:  # noqa: BLE001  handed to the thread that waits
            self._failure = failure

    def go(self) -> None:
        """Until `ends`."""
        raise NotImplementedError

    def stop(self) -> None:
        self.ends.set()
        self.join()
        if self._failure is not None:
            raise self._failure

    def token(self) -> str:
        """The login of a person with every role."""
        accounts = accounts_of(load_station(self.config))
        return accounts.welcome("anna", accounts.invite("anna", PEOPLE_ROLES, "x", via="shell"), PASSWORD, HOST)

    def look(self, port: int) -> int:
        """An open Live page, until `ends` or until the pages are gone; how many messages came."""
        messages = 0
        with suppress(OSError):
            while not self.ends.is_set():
                address = f"{HOST}:{port}"
                with (
                    connect(f"ws://{address}/live/socket", origin=Origin(f"http://{address}"), proxy=None) as socket,
                    suppress(WebSocketException),  # the pages end a socket after a minute, and the page opens another
                ):
                    for _ in self._messages(socket):
                        messages += 1
        return messages

    def _messages(self, socket: ClientConnection) -> Iterator[dict[str, str]]:
        """One after the other, as a page asks for them; what it has then."""
        have = {"state": "", "part": ""}
        while not self.ends.is_set():
            socket.send(json.dumps(have))
            data = socket.recv(timeout=10.0)
            assert isinstance(data, bytes)
            head = json.loads(data[4 : 4 + int.from_bytes(data[:4], "little")])
            have = {"state": head["state_key"], "part": head["part_key"]}
            yield have


class People(Beside):
    """Viewers, a report and a what-if."""

    def __init__(self, config: Path, viewers: int, works: int, every_s: float) -> None:
        """`works`: reports and what-ifs, each; 0: without an end. `every_s`: from one to the next."""
        self._viewers = viewers
        self._works = works
        self._every_s = every_s
        self.messages = 0
        self._lock = threading.Lock()
        self.made: dict[str, int] = {"report": 0, "what-if": 0}
        self.cpu: dict[str, float] = {}
        super().__init__(config)

    def go(self) -> None:
        pages = Served(self.config)
        try:
            threads = [threading.Thread(target=self._count, args=(pages.port,)) for _ in range(self._viewers)]
            for thread in threads:
                thread.start()
            self._work(Client(pages.port, {COOKIE: self.token()}))
            for thread in threads:
                thread.join()
        finally:
            pages.kill()

    def _count(self, port: int) -> None:
        while not self.ends.is_set():  # a page opens another socket, as long as anybody looks
            messages = self.look(port)
            with self._lock:
                self.messages += messages
            self.ends.wait(0.5)

    def _work(self, client: Client) -> None:
        """Reports and what-ifs in turn, as long as the line runs."""
        csrf = client.csrf()
        report = {"csrf": csrf, "of": "period", "since": "8h", "pdf": "1", "csv": "1"}
        asked = {"csrf": csrf, "set": "decision.reject_score=0.7", "newest": "10000"}
        both = ("report", "what-if")
        for what in both * self._works or itertools.cycle(both):
            if self._works and self.ends.wait(self._every_s):
                return
            path, fields = ("/reports/make", report) if what == "report" else ("/setup/what-if/start", asked)
            got = client.post(path, fields)
            if got.status != 303:
                raise SystemExit(f"{path}: {got.status} {got.text[-2000:]}")
            while not self.ends.wait(0.2):
                if json.loads(client.get("/work.json").text)["phase"] != "running":
                    break
            else:
                return
            self.made[what] += 1
        self.ends.wait()


class Measured(People):
    """Processor time of the pages' process: nobody looks, and viewers alone."""

    def go(self) -> None:
        pages = Served(self.config)
        try:
            self.ends.wait(SETTLE_S)
            with self._measured("idle", pages):
                self.ends.wait(ALONE_S)
            threads = [threading.Thread(target=self._count, args=(pages.port,)) for _ in range(self._viewers)]
            for thread in threads:
                thread.start()
            self.ends.wait(SETTLE_S)
            with self._measured(f"{self._viewers} viewers", pages):
                self.ends.wait(ALONE_S)
            self.ends.set()
            for thread in threads:
                thread.join()
        finally:
            pages.kill()

    @contextmanager
    def _measured(self, what: str, pages: Served) -> Iterator[None]:
        """Share of a core that the process takes meanwhile, percent."""
        cpu, start = pages.cpu_s(), time.monotonic()
        yield
        self.cpu[what] = round(100 * (pages.cpu_s() - cpu) / (time.monotonic() - start), 2)


class Killing(Beside):
    """The pages die in the middle of what they do, or stand still; the write-ahead log is watched."""

    def __init__(self, config: Path, kills: int, stops: int) -> None:
        every = kills // stops if stops else 0
        self._left = [
            kind for n in range(kills) for kind in ("kills", "stops") if kind == "kills" or (every and n % every == 0)
        ]
        self.done = {"kills": 0, "stops": 0}
        self.longest_wal_bytes = 0
        super().__init__(config)

    def go(self) -> None:
        token = self.token()
        wal = self.config.parent / "records" / "records.db-wal"
        for kind in self._left:
            if self.ends.is_set():
                return
            pages = Served(self.config)
            asking = [
                threading.Thread(target=self.look, args=(pages.port,)),
                threading.Thread(target=self._ask, args=(Client(pages.port, {COOKIE: token}),)),
            ]
            for thread in asking:
                thread.start()
            self.ends.wait(ALIVE_S)
            if kind == "stops":
                pages.process.send_signal(signal.SIGSTOP)
                self.ends.wait(STOPPED_S)
            self.done[kind] += 1
            self.longest_wal_bytes = max(self.longest_wal_bytes, wal.stat().st_size if wal.exists() else 0)
            pages.kill()
            for thread in asking:
                thread.join()

    def _ask(self, client: Client) -> None:
        """Pages that read the records, until the process is dead."""
        with suppress(OSError):
            while not self.ends.is_set():
                client.get("/parts")


class Lines:
    """Runs of the line with something beside it; what they found."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._engine, self._pictures, self._threads = options.engine.resolve(), pictures_for(None), engine_threads(0)
        self.found: dict[str, Any] = {"load": os.getloadavg()[0], "runs": []}

    def run(self, parts: int, rate: float, beside: Callable[[Path], Beside] | None) -> tuple[dict[str, Any], Any]:
        """Times of the parts, and what ran beside."""
        with tempfile.TemporaryDirectory(prefix="hmi-line-", ignore_cleanup_errors=True) as folder:
            work = Path(folder) / "station"
            runs = None if beside is None else beside(work / "station.toml")
            try:
                return overhead(self._engine, self._pictures, parts, rate, work, self._threads), runs
            finally:
                if runs is not None:
                    runs.stop()

    def processor(self) -> None:
        """Of the pages alone."""
        parts = round(MEASURED_RATE * (START_S / 4 + 2 * (SETTLE_S + ALONE_S)))
        _, pages = self.run(parts, MEASURED_RATE, lambda config: Measured(config, self._options.viewers, 0, 0.0))
        self.found["cpu_percent"] = pages.cpu
        self.say(pages.cpu)

    def half(self, pair: int, is_looked_at: bool) -> None:
        """Of a pair."""
        options = self._options
        every_s = options.parts / options.rate / (2 * options.works + 1)
        people = partial(People, viewers=options.viewers, works=options.works, every_s=every_s)
        times, beside = self.run(options.parts, options.rate, people if is_looked_at else None)
        run = {
            "pair": pair,
            "viewers": options.viewers if is_looked_at else 0,
            "load": os.getloadavg()[0],
            "parts": times["parts"],
            "refused": times["refused"],
            **times["overhead_ms"],
        }
        if is_looked_at:
            run |= {"messages": beside.messages, "made": beside.made}
        self.found["runs"].append(run)
        self.say(run)

    def ratio(self) -> float:
        """Of the medians of p99."""
        without, looked_at = (
            [run["p99"] for run in self.found["runs"] if bool(run["viewers"]) is looks] for looks in (False, True)
        )
        ratio = statistics.median(looked_at) / statistics.median(without) if without and looked_at else 1.0
        self.found |= {"ratio_of_p99": round(ratio, 3)}
        self.say(f"p99 of the overhead, median of the pairs: {without} ms without, {looked_at} ms with: {ratio:.3f}")
        return ratio

    def killed(self) -> None:
        """Parts while the pages are killed and stopped."""
        options = self._options
        killing = partial(Killing, kills=options.kills, stops=options.stops)
        times, beside = self.run(options.kill_parts, options.rate, killing)
        self.found["killed"] = {**beside.done, "pulses": options.kill_parts, "parts": times["parts"],
                                "refused": times["refused"], "lost": times["lost"], **times["overhead_ms"],
                                "longest_wal_bytes": beside.longest_wal_bytes}  # fmt: skip
        self.say(self.found["killed"])

    def say(self, what: object) -> None:
        print(what, flush=True)
        if self._options.json is not None:
            self._options.json.write_text(json.dumps(self.found, indent=1) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", type=Path, required=True, help="see: station teach")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--parts", type=int, default=500)
    parser.add_argument("--rate", type=float, default=10.0)
    parser.add_argument("--viewers", type=int, default=10)
    parser.add_argument("--works", type=int, default=1, help="reports and what-ifs in a half; 0: without an end")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--stops", type=int, default=10)
    parser.add_argument("--kill-parts", type=int, default=4000, help="parts while the pages are killed")
    parser.add_argument("--limit-s", type=int, default=2700, help="ends the run, and its station, after this time")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    be_the_line(parser)
    lines = Lines(options)
    with stopped_in_order(options.limit_s):
        lines.processor()
        for pair, is_looked_at in halves(options.pairs):
            lines.half(pair, is_looked_at)
        ratio = lines.ratio()
        if options.kills:
            lines.killed()
    return 0 if ratio <= 1.1 else 1


if __name__ == "__main__":
    sys.exit(main())
