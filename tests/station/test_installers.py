"""The installers of deploy/: what they would do on which computer, and what they refuse. Nothing is installed."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
DRIVER_550 = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22 01:44:30 UTC 2024\n"
DRIVER_580 = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (builder@host)\n"
JETSON = "# R{} (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n"
on_x86_64 = pytest.mark.skipif(os.uname().machine != "x86_64", reason="a PC is x86_64")


def computer(root: Path, *, driver: str = "", jetson: str = "", debian: bool = True) -> Path:
    """The files by which an installer knows a computer."""
    files = {"proc/driver/nvidia/version": driver, "etc/nv_tegra_release": jetson}
    files["etc/debian_version"] = "12.5\n" if debian else ""
    for name, text in files.items():
        if text:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
    return root


def plan(kind: str, root: Path) -> subprocess.CompletedProcess[str]:
    """`install.sh --check` for the computer under `root`."""
    command = ["sh", str(DEPLOY / kind / "install.sh"), "--check", "--root", str(root)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("script", sorted(DEPLOY.rglob("*.sh")), ids=lambda path: str(path.relative_to(DEPLOY)))
def test_syntax(script: Path) -> None:
    assert subprocess.run(["sh", "-n", str(script)], timeout=60).returncode == 0
    if script.name == "install.sh":
        assert script.read_text().startswith("#!/bin/sh\n")
        assert "\nset -eu\n" in script.read_text()
        assert os.access(script, os.X_OK)


@on_x86_64
@pytest.mark.parametrize(
    ("driver", "wanted", "unwanted"), [(DRIVER_580, "[gpu]", "tensorrt-cu12"), (DRIVER_550, "tensorrt-cu12", "[gpu]")]
)
def test_a_pc_gets_tensorrt_for_its_driver(tmp_path: Path, driver: str, wanted: str, unwanted: str) -> None:
    done = plan("desktop", computer(tmp_path, driver=driver))
    assert done.returncode == 0, done.stderr
    pip = next(line for line in done.stdout.splitlines() if "pip install" in line)
    assert wanted in pip
    assert unwanted not in pip
    assert "--constraint" in pip
    assert "Nothing was done" in done.stdout


@pytest.mark.parametrize(("release", "jetpack"), [("36", "6"), ("38", "7"), ("39", "7")])
def test_a_jetson_takes_tensorrt_from_apt(tmp_path: Path, release: str, jetpack: str) -> None:
    done = plan("jetson", computer(tmp_path, jetson=JETSON.format(release)))
    assert done.returncode == 0, done.stderr
    assert f"JetPack {jetpack}" in done.stdout
    apt = next(line for line in done.stdout.splitlines() if "apt-get install" in line)
    assert "nvidia-jetpack python3-libnvinfer" in apt
    pip = next(line for line in done.stdout.splitlines() if "pip install" in line)
    assert "tensorrt" not in pip
    assert "pycuda" in pip


@pytest.mark.parametrize(
    ("kind", "what", "words"),
    [
        ("jetson", {"driver": DRIVER_580}, "this is no Jetson"),
        ("jetson", {"jetson": JETSON.format(35)}, "Jetson Linux 35: 36 (JetPack 6), 38 and 39 (JetPack 7)"),
        ("jetson", {"jetson": "garbage\n"}, "Jetson Linux unknown"),
        ("jetson", {"jetson": JETSON.format(36), "debian": False}, "no Debian or Ubuntu"),
        ("desktop", {"jetson": JETSON.format(36)}, "this is a Jetson"),
        pytest.param("desktop", {}, "no NVIDIA driver is loaded", marks=on_x86_64),
        pytest.param("desktop", {"driver": "garbage\n"}, "is not understood", marks=on_x86_64),
        pytest.param("desktop", {"driver": DRIVER_580, "debian": False}, "no Debian or Ubuntu", marks=on_x86_64),
    ],
)
def test_refusals(tmp_path: Path, kind: str, what: dict[str, object], words: str) -> None:
    done = plan(kind, computer(tmp_path, **what))  # type: ignore[arg-type]
    assert done.returncode == 2
    assert words in done.stderr
    assert "-->" not in done.stdout


@pytest.mark.parametrize("arguments", [["--root", "/"], ["--check", "--root"], ["--chekc"]])
def test_wrong_options_do_nothing(arguments: list[str]) -> None:
    for kind in ("desktop", "jetson"):
        command = ["sh", str(DEPLOY / kind / "install.sh"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 2
        assert "-->" not in done.stdout


@pytest.mark.parametrize("kind", ["desktop", "jetson"])
def test_containers_are_pinned_and_not_root(kind: str) -> None:
    lines = (DEPLOY / kind / "Containerfile").read_text().splitlines()
    assert [line for line in lines if re.fullmatch(r"ARG BASE=nvcr\.io/nvidia/[a-z0-9-]+:r?\d[\w.-]+", line)]
    assert {line.split()[1] for line in lines if line.startswith("FROM")} == {"${BASE}"}
    assert [line for line in lines if line.startswith("USER")] == ["USER station"]
    copied = [line.split()[1] for line in lines if line.startswith("COPY") and "--from" not in line]
    assert all((DEPLOY.parent / source).exists() for source in copied)
