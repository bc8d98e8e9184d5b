"""Builds the software camera with a checker in it, and drives every entry point (simtl_conformance.c)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from drivers.camera.simtl import producer_path
from tests.bench.programs import require_program

pytestmark = pytest.mark.system

SOURCES = producer_path().parent / "src"
PROGRAM = Path(__file__).with_name("simtl_conformance.c")
WARNINGS = ("-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wmissing-prototypes", "-Werror")


def build(output: Path, sources: list[Path], *options: str) -> Path:
    compiler = os.environ.get("CC", "cc")
    common = [compiler, "-std=gnu11", "-g", "-O1", "-fPIC", "-pthread", "-fvisibility=hidden", f"-I{SOURCES}"]
    macro = f'-DCAMERA_XML="{SOURCES / "camera.xml"}"'
    subprocess.run([*common, macro, *options, *map(str, sources), "-lm", "-ldl", "-o", str(output)], check=True)
    return output


def conform(folder: Path, *options: str, runner: tuple[str, ...] = ()) -> None:
    producer = build(folder / "simtl.cti", sorted(SOURCES.glob("*.c")), "-shared", *WARNINGS, *options)
    program = build(folder / "conformance", [PROGRAM], *options)
    (folder / "images").mkdir()
    done = subprocess.run(
        [*runner, str(program), str(producer), str(folder)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "checks held" in done.stdout


def require_sanitizer(name: str, folder: Path) -> None:
    (folder / "empty.c").write_text("int main(void) { return 0; }\n")
    try:
        program = build(folder / "empty", [folder / "empty.c"], f"-fsanitize={name}")
        subprocess.run([str(program)], check=True, timeout=60)
    except subprocess.CalledProcessError:
        pytest.skip(f"the compiler here has no working -fsanitize={name}")


def test_under_address_and_undefined_behaviour_sanitizer(tmp_path: Path) -> None:
    require_sanitizer("address,undefined", tmp_path)
    conform(tmp_path, "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def test_under_thread_sanitizer(tmp_path: Path) -> None:
    require_sanitizer("thread", tmp_path)
    # It does not know the fences of the scene's seqlock; the other side of that is another process anyway.
    conform(tmp_path, "-fsanitize=thread", "-Wno-tsan")


def test_under_valgrind(tmp_path: Path) -> None:
    conform(
        tmp_path,
        runner=(require_program("valgrind"), "-q", "--fair-sched=yes", "--leak-check=full", "--error-exitcode=99"),
    )
