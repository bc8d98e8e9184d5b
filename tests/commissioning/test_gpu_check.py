"""`station check --gpu`: what a newcomer reads, here, with a small driver in C, with files of Jetsons."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import util
from pathlib import Path

import pytest

from engines.runtimes.tensorrt.probe import NoGpu, probe
from station.commissioning.gpu_check import Judgement, Link, check_gpu
from station.commissioning.jetson import Jetson, clocks_are_held, read_jetson, read_power_mode
from station.configuration.load import load
from tests.bench.engines.small_engine import write_small_engine
from tests.engines.runtimes.tensorrt.small_driver import small_driver

without_gpu = pytest.mark.skipif(not isinstance(probe(), NoGpu), reason="this computer has a GPU that can be used")
without_tensorrt = pytest.mark.skipif(util.find_spec("tensorrt") is not None, reason="TensorRT is installed here")
POWER_MODES = """< PARAM TYPE=FILE NAME=CPU_ONLINE >
< POWER_MODEL ID=0 NAME=15W >
CPU_ONLINE CORE_0 1
< POWER_MODEL ID=1 NAME=25W >
< POWER_MODEL ID=2 NAME=MAXN_SUPER >
< PM_CONFIG DEFAULT=1 >
"""


def board(root: Path, release: str = "# R36 (release), REVISION: 4.3, GCID: 1, BOARD: generic", mode: int = 1) -> Path:
    """The files of a Jetson."""
    for name, text in {
        "etc/nv_tegra_release": release,
        "etc/nvpmodel.conf": POWER_MODES,
        "var/lib/nvpmodel/status": f"pmode:{mode:04}\n",
        "sys/class/devfreq/17000000.gpu/min_freq": "306000000\n",
        "sys/class/devfreq/17000000.gpu/max_freq": "1020000000\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_min_freq": "1510400\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq": "1510400\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def links(root: Path, library: str = "libnone.so") -> dict[str, Link]:
    """The links without a configuration."""
    return {link.what: link for link in check_gpu(None, library=library, root=root)}


@pytest.mark.parametrize(
    ("release", "found"),
    [
        ("# R36 (release), REVISION: 4.3, GCID: 1", Jetson("36.4.3", 6)),
        ("# R38 (release), REVISION: 2.1, GCID: 1", Jetson("38.2.1", 7)),
        ("# R39 (release), REVISION: 2.1, GCID: 1", Jetson("39.2.1", 7)),
        ("# R35 (release), REVISION: 4.1, GCID: 1", Jetson("35.4.1", None)),
        ("nothing of the kind", None),
    ],
)
def test_which_jetson(tmp_path: Path, release: str, found: Jetson | None) -> None:
    assert read_jetson(board(tmp_path, release)) == found


def test_power_mode_and_clocks(tmp_path: Path) -> None:
    mode = read_power_mode(board(tmp_path))
    assert mode is not None
    assert (mode.name, mode.fastest, mode.fastest_id, mode.is_fastest) == ("25W", "MAXN_SUPER", 2, False)
    assert clocks_are_held(tmp_path) is False
    (tmp_path / "sys/class/devfreq/17000000.gpu/min_freq").write_text("1020000000\n")
    assert clocks_are_held(tmp_path) is True
    assert clocks_are_held(tmp_path / "none") is None
    assert read_power_mode(board(tmp_path, mode=7)) is None
    assert read_power_mode(tmp_path / "none") is None


def test_a_jetson_is_reported_its_commands(tmp_path: Path) -> None:
    said = links(board(tmp_path))
    assert said["computer"].found == "Jetson Linux 36.4.3, JetPack 6"
    assert said["driver and GPU"].judgement is Judgement.MISSING
    assert said["driver and GPU"].fix.startswith("sudo apt install nvidia-jetpack")
    assert said["power mode"].fix.startswith("sudo nvpmodel -m 2")
    assert said["clocks"].fix == "sudo jetson_clocks"
    assert "SDK Manager" in links(board(tmp_path, "# R35 (release), REVISION: 4.1"))["computer"].fix


@without_tensorrt
def test_tensorrt_of_a_jetson_comes_from_apt(tmp_path: Path) -> None:
    said = links(board(tmp_path))["tensorrt"]
    assert said.judgement is Judgement.MISSING
    assert "python3-libnvinfer" in said.fix or "--system-site-packages" in said.fix
    assert "pip" not in said.fix


@pytest.mark.system
@without_tensorrt
@pytest.mark.parametrize(
    ("version", "package"), [("12080", "tensorrt-cu12>=10.3,<12"), ("13020", "tensorrt-cu13>=10.3")]
)
def test_tensorrt_for_the_cuda_of_the_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, package: str
) -> None:
    """A GPU is there, so only what is missing is missing."""
    monkeypatch.setenv("CUDA_SMALL_VERSION", version)
    said = links(tmp_path, str(small_driver(tmp_path / "driver") / "libcuda.so.1"))
    assert said["driver"].judgement is Judgement.OK
    assert "Small GPU (compute capability 8.9" in said["GPU"].found
    assert said["CUDA"].judgement is Judgement.OK
    assert package in said["tensorrt"].fix
    assert said["pycuda"].judgement is Judgement.MISSING
    assert said["plan"].judgement is Judgement.ADVICE
    assert "memory" not in said


@pytest.mark.system
def test_a_gpu_that_is_not_found_wants_another_command_than_no_driver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAILS_cuInit", "100")
    driver = str(small_driver(tmp_path / "driver") / "libcuda.so.1")
    assert links(tmp_path, driver)["driver and GPU"].fix.startswith("nvidia-smi")
    assert "sudo usermod -aG video,render" in links(board(tmp_path), driver)["driver and GPU"].fix


def test_the_plan_waits_for_the_links_before_it(tmp_path: Path) -> None:
    """With an engine; and a station that is not to use the GPU hears so."""
    engine = write_small_engine(tmp_path / "engine", width=32, height=32)
    file = tmp_path / "station.toml"
    camera = '[cameras.top]\nproducer = "simtl"\n'
    common = f'[station]\nname = "a"\nwork_dir = "work"\n{camera}[engine]\npath = "{engine}"\n'
    for runtime, judgement, words in (
        ("auto", Judgement.MISSING, "before the links above are fixed"),
        ("onnx", Judgement.ADVICE, "does not use the GPU"),
    ):
        file.write_text(f'{common}runtime = "{runtime}"\n')
        said = {link.what: link for link in check_gpu(load(file), library="libnone.so", root=tmp_path)}["plan"]
        assert said.judgement is judgement
        assert words in said.found


@pytest.mark.system
@without_gpu
def test_the_command_ends_with_2_and_says_how_to_go_on(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "station", "check", "--gpu", "--config", str(tmp_path / "none.toml")],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 2, done.stderr
    lines = done.stdout.splitlines()
    assert "missing" in next(line for line in lines if line.startswith("driver and GPU"))
    assert any("sudo " in line for line in lines)
    assert lines[-1] == "TensorRT cannot run; begin with the first line that is missing."
