"""Three people's days at a fresh station in a real browser: clicks, keys and seconds of each step, beside a shell's.

    python -m benchmarks.peoples_days [--work DIR] [--days first shift monday] [--json FILE] [--document docs/days.md]

The station is real, with the software camera; nothing is read of it but what stands on the pages. What hands need is
computed by the keystroke-level model for both ways, so the columns can be compared; how long the machine let a person
wait is measured. A shell also needs its own waiting, and a person who knows the commands: neither is counted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from benchmarks.people.document import write
from benchmarks.people.first_day import integrators_day
from benchmarks.people.hands import Day
from benchmarks.people.monday import maintenances_day
from benchmarks.people.shift import operators_day
from benchmarks.people.stand import Stand
from tests.bench.browser import chromium

DAYS = {"first": integrators_day, "shift": operators_day, "monday": maintenances_day}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--work", type=Path, help="default: a temporary folder; one of an earlier run has its first day"
    )
    parser.add_argument("--json", type=Path, help="days that are gone through take the place of those of their name")
    parser.add_argument("--days", nargs="+", choices=DAYS, default=list(DAYS), help="a fresh station needs the first")
    parser.add_argument("--document", type=Path, help="its tables are written from the file of --json")
    options = parser.parse_args()
    if options.document and not options.json:
        parser.error("--document needs --json: the tables are those of that file")
    with tempfile.TemporaryDirectory(prefix="days-") as temporary:
        folder = options.work or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        with Stand(folder) as stand, chromium() as browser:
            if not stand.code:
                stand.bench.wait_ready()
            for name, gone_through in DAYS.items():
                if name in options.days and (stand.code or name != "first"):
                    day = gone_through(browser, stand)
                    show(day)
                    if options.json:
                        keep(options.json, day)
    if options.document:
        write(options.json, options.document)
    return 0


def keep(file: Path, day: Day) -> None:
    """Beside the other days of the file."""
    kept = {one["day"]: one for one in (json.loads(file.read_text()) if file.exists() else [])}
    kept[day.name] = as_json(day)
    file.write_text(json.dumps(list(kept.values()), indent=1, ensure_ascii=False) + "\n")


def as_json(day: Day) -> dict[str, object]:
    says = {what: round(share, 3) for what, share in day.says.items()}
    load = [round(each, 1) for each in os.getloadavg()]
    return {"day": day.name, "load": load, "says": says, "steps": [step.as_json() for step in day.steps]}


def show(day: Day) -> None:
    """A table."""
    print(f"\n{day.name}")
    for what, share in day.says.items():
        print(f"  {what}: {share:.0%}")
    for step in day.steps:
        made = step.as_json()
        shell = made["shell"]
        said = "no way" if shell is None else f"{shell['lines']} lines, {shell['keys']} keys, {shell['hands_s']} s"
        print(
            f"  {step.what:75} {step.clicks:3} clicks {step.keys:4} keys {made['hands_s']:6} s"
            f" + {made['machine_s']:6} s | {said}"
        )


if __name__ == "__main__":
    sys.exit(main())
