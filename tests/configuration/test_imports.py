"""Reading the configuration is cheap: a command that only asks the station must not load what inspects parts."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.system

HEAVY = ("numpy", "cv2", "onnxruntime", "openvino", "pymodbus", "harvesters", "torch")


@pytest.mark.parametrize("module", ["station.configuration.load", "station.control", "station.results"])
def test_module_loads_none_of_what_inspects_parts(module: str) -> None:
    program = f"import sys, {module}; print(*(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []
