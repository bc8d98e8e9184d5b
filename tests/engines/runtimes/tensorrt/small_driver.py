"""Compiles the small driver libraries of this folder: real libraries at the real boundary, ctypes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

SOURCES = Path(__file__).parent


def compile_library(source: str, output: Path, *flags: str) -> Path:
    """The shared library `output` of a C file beside this module."""
    output.parent.mkdir(parents=True, exist_ok=True)
    compiler = os.environ.get("CC", "cc")
    command = [compiler, "-shared", "-fPIC", "-Wall", "-Werror", *flags, "-o", str(output), str(SOURCES / source)]
    subprocess.run(command, check=True, timeout=60)
    return output


def small_driver(folder: Path) -> Path:
    """A folder with libcuda.so.1, for LD_LIBRARY_PATH."""
    return compile_library("libcuda.c", folder / "libcuda.so.1").parent
