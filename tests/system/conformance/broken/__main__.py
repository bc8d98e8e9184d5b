"""The real station with one rule of its handshake switched off.

Run as `python -m tests.system.conformance.broken DIRECTORY`.

`DIRECTORY/station.toml` is its configuration. `DIRECTORY/broken` names the variant; while it is missing or empty, the
station is as it should be. `DIRECTORY/broken.now` names the current one.
"""

from __future__ import annotations

import sys
from pathlib import Path

from station.commands import main as cli
from station.daemon import daemon
from tests.system.conformance.broken import fail_safe, results, triggers  # noqa: F401  registers the variants
from tests.system.conformance.broken.switched import Switched

if __name__ == "__main__":
    Switched.directory = Path(sys.argv[1])
    vars(daemon)["Handshake"] = Switched
    sys.exit(cli.main(["run", "--config", str(Switched.directory / "station.toml")]))
