"""What camera and PLC notice of a records' disk that stands still: a file system of its own, frozen while parts come.

    sudo python -m benchmarks.frozen_disk [--seconds 60] [--before S] [--journal-on-disk] [--json FILE]
                                          [--when-quiet LOAD | --realtime]

The real daemon with the software camera and a small engine; its work folder lies on an ext4 of 256 MB in a file,
mounted through a loop device, which works for a while (`before`) and is then frozen with fsfreeze. A client
reads the status block without a pause, good and bad parts come all the time. `--journal-on-disk` keeps open parts on
that disk as well, as it was before they lay in memory.

Station and client have the priority that systemd/station.service gives the station. Beside them a witness asks to be
woken every millisecond: when it is late the machine is, and an answer that is late at the same moment may be no matter
of the disk. `--when-quiet 0.5` waits until the load average is below that, for an hour at most (exit code 3).
`--realtime` takes the machine's other work out instead: station, client and witness go before everything (SCHED_RR),
which no station does. `--json` keeps the figures of the other way in the file.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyModbusTCP.client import ModbusClient

from station.control import request
from station.records.parts import parts
from station.records.schema import open_reader
from station.results import Verdict
from tests.bench.bench import Bench, bad, good
from tests.bench.waiting import wait_for

LONGEST_WAIT_S = 300.0
PRIORITY = -10
"""Nice= of systemd/station.service."""
LATE_MS = 20.0
"""What is promised: no answer later."""
QUIET_WITHIN_S = 3600.0
EXIT_NEVER_QUIET = 3
WITNESS = """
import json, sys, threading, time
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
late = []
while not stop.is_set():
    due = time.monotonic() + 0.001
    time.sleep(0.001)
    now = time.monotonic()
    if now - due > 0.002:
        late.append((due, now))
print(json.dumps(late))
"""


@contextlib.contextmanager
def own_disk(folder: Path, megabytes: int = 256) -> Iterator[Path]:
    """An ext4 in a file, mounted; thawed and unmounted again whatever happens."""
    image, mounted = folder / "disk.img", folder / "disk"
    mounted.mkdir()
    with image.open("wb") as file:
        file.truncate(megabytes * 1_000_000)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(mounted)], check=True)
    try:
        yield mounted
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", str(mounted)], check=False, stderr=subprocess.DEVNULL)
        subprocess.run(["umount", "--lazy", str(mounted)], check=True)


class Witness:
    """A process that does nothing but ask to be woken every millisecond."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", WITNESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def stop(self) -> list[tuple[float, float]]:
        """When it was to be woken and when it was, where that took more than 2 ms (monotonic clock)."""
        return [(due, woken) for due, woken in json.loads(self._process.communicate()[0])]


class Poller:
    """Reads the status block without a pause; the time of every request, in ms, with when it began."""

    def __init__(self, port: int) -> None:
        self.times: list[tuple[float, float]] = []
        self._client = ModbusClient("127.0.0.1", port, timeout=LONGEST_WAIT_S)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            if self._client.read_discrete_inputs(0, 20) is None:
                raise ConnectionError("the station closed the connection")
            self.times.append((began, (time.monotonic() - began) * 1000))
            time.sleep(0.001)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def figures(self, since: float, until: float, late: list[tuple[float, float]]) -> dict[str, float]:
        """`late`: when the machine was, as the witness says."""
        late = [(due, woken) for due, woken in late if since <= due < until]
        over = [(at, at + took / 1000) for at, took in self.times if since <= at < until and took > LATE_MS]
        times = sorted(took for began, took in self.times if since <= began < until)
        worst_at = max((took, began) for began, took in self.times if since <= began < until)[1]
        return {
            "requests": len(times),
            "median_ms": round(times[len(times) // 2], 2),
            "p999_ms": round(times[int(len(times) * 0.999)], 2),
            "worst_ms": round(times[-1], 2),
            "worst_after_s": round(worst_at - since, 1),
            "above_20_ms": len(over),
            "above_20_ms_while_the_machine_was_on_time": sum(
                not any(due < end and begin < woken for due, woken in late) for begin, end in over
            ),
            "machine_late_at_worst_ms": round(max((woken - due for due, woken in late), default=0.0) * 1000, 2),
        }


def send_parts(bench: Bench, until: float) -> dict[int, bool]:
    """Good and bad parts, one after the other; by id whether it is good."""
    sent: dict[int, bool] = {}
    while time.monotonic() < until:
        is_good = len(sent) % 3 != 0
        part_id = bench.send(good() if is_good else bad())
        wait_for(lambda part_id=part_id: part_id in bench.plc.results, "the result", LONGEST_WAIT_S)  # type: ignore[misc]
        sent[part_id] = is_good
    return sent


def measure(seconds: float, *, journal_on_disk: bool, before_s: float) -> dict[str, Any]:
    """All figures of one run; `before_s`: how long the disk works at first."""
    with tempfile.TemporaryDirectory(prefix="frozen-") as name, own_disk(Path(name)) as disk:
        settings: dict[str, Any] = {
            "station__work_dir": str(disk / "work"),
            "station__runtime_dir": str(disk / "run") if journal_on_disk else None,
            "log__level": "warning",
        }
        with Bench(Path(name), **settings) as bench:
            bench.start()
            gc.collect()
            gc.disable()  # the client's own pauses are not the station's
            witness = Witness()
            poller = Poller(bench.port)
            began = time.monotonic()
            sent = send_parts(bench, began + before_s)
            subprocess.run(["fsfreeze", "--freeze", str(disk)], check=True)
            frozen = time.monotonic()
            thaw = threading.Timer(seconds, subprocess.run, [["fsfreeze", "--unfreeze", str(disk)]])
            thaw.start()
            while_frozen = send_parts(bench, frozen + seconds - 1.0)
            warnings = request(disk / "work" / "control.sock", {"command": "status"}, LONGEST_WAIT_S)["status"][
                "warnings"
            ]
            until = time.monotonic()
            thaw.join()
            poller.stop()
            late = witness.stop()
            code = bench.terminate(60.0)
            with contextlib.closing(open_reader(disk / "work" / "records")) as reader:
                on_record = {row.part_id: row.verdict for row in parts(reader)}
            sent |= while_frozen
            right = {part_id: Verdict.PASS if is_good else Verdict.FAIL for part_id, is_good in sent.items()}
            return {
                "frozen_s": seconds,
                "journal_on_disk": journal_on_disk,
                "before": poller.figures(began, frozen, late),
                "frozen": poller.figures(frozen, until, late),
                "parts": len(sent),
                "parts_while_frozen": len(while_frozen),
                "wrong_verdicts": sum(bench.plc.results[id_][0].result != right[id_] for id_ in sent),
                "wrong_or_missing_on_record": sum(on_record.get(id_) != right[id_].name for id_ in sent),
                "warnings": warnings,
                "exit_code": code,
                "load_average": [round(load, 1) for load in os.getloadavg()],
            }


def as_the_service() -> None:
    """The priority of the station's unit, for this process and all that it starts; as root only."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)
        autogroup = Path("/proc/self/autogroup")  # where it exists, priorities count within a session only
        if autogroup.exists():
            autogroup.write_text(str(PRIORITY))


def before_everything() -> None:
    """This process and all that it starts, until they wait for something. Raises PermissionError without root."""
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


def wait_until_quiet(load: float) -> bool:
    """False when the load average of a minute was not below `load` within an hour."""
    end_s = time.monotonic() + QUIET_WITHIN_S
    while os.getloadavg()[0] >= load:
        if time.monotonic() > end_s:
            return False
        time.sleep(5.0)
    return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--before", type=float, metavar="S", help="how long the disk works at first; default: as long")
    parser.add_argument("--journal-on-disk", action="store_true")
    begins = parser.add_mutually_exclusive_group()
    begins.add_argument("--when-quiet", type=float, metavar="LOAD", help="begin when the load average is below that")
    begins.add_argument("--realtime", action="store_true", help="go before all other work of the machine")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.when_quiet is not None and not wait_until_quiet(options.when_quiet):
        print(f"the load average was never below {options.when_quiet}")
        return EXIT_NEVER_QUIET
    as_the_service()
    if options.realtime:
        before_everything()
    found = measure(
        options.seconds, journal_on_disk=options.journal_on_disk, before_s=options.before or options.seconds
    )
    print(json.dumps(found, indent=2))
    if options.json is not None:
        name = "before_everything" if options.realtime else "as_the_service"
        runs = json.loads(options.json.read_text()) if options.json.exists() else {}
        options.json.write_text(json.dumps({**runs, name: found}, indent=2) + "\n")
    return 1 if found["wrong_verdicts"] or found["wrong_or_missing_on_record"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
