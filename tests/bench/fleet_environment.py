"""The environment of `make fleet-test`: programs of Python packages that cannot stand beside the station's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.bench.places import ROOT

FOLDER = Path(os.environ.get("STATION_FLEET_ENVIRONMENT", ROOT / ".venv-fleet"))


def fleet_program(name: str) -> Path:
    """The path of a program of that environment. Skips the calling test, which carries the marker `fleet`, without."""
    if not (FOLDER / ".installed").exists():
        pytest.skip("no environment .venv-fleet: make fleet-test makes it")
    return FOLDER / "bin" / name
