"""`station check --gpu`: can TensorRT run here, and if not, which command fixes it? From the driver up to the plan."""

from __future__ import annotations

import getpass
import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from importlib import metadata, util
from pathlib import Path

from engines.bundle.reading import read_bundle
from engines.errors import EngineError, GpuUnusable, PlanUnusable, StoreError
from engines.runtimes.names import Precision
from engines.runtimes.tensorrt.device import Device
from engines.runtimes.tensorrt.driver import LIBRARY, Driver, DriverMissing
from engines.runtimes.tensorrt.libraries import (
    NEWEST_TENSORRT_MAJOR,
    OLDEST_TENSORRT,
    Libraries,
    load_libraries,
    load_pycuda,
    load_tensorrt,
)
from engines.runtimes.tensorrt.nvml import ThermalMonitor
from engines.runtimes.tensorrt.plan_maker import PlanMaker
from engines.runtimes.tensorrt.plan_store import PlanState
from engines.runtimes.tensorrt.probe import Gpu, NoGpu, probe
from engines.store.versions import is_there
from station.commissioning import jetson
from station.commissioning.jetson import Jetson
from station.configuration.load import LoadedConfiguration

CUDA_HOME = Path("/usr/local/cuda")
NVIDIA_INDEX = "https://pypi.nvidia.com"
"""TensorRT's libraries are not on PyPI."""
ENOUGH_BYTES = 2 << 30
"""Free memory with which a plan can be built and run."""
_RANGE = f">={'.'.join(map(str, OLDEST_TENSORRT))},<{NEWEST_TENSORRT_MAJOR + 1}"


class Judgement(str, Enum):
    """What a link means."""

    OK = "ok"
    MISSING = "missing"
    """TensorRT cannot run."""
    ADVICE = "advice"
    """It can, but slower than it could, or something has not been looked at."""


@dataclass(frozen=True, slots=True)
class Link:
    """One link of the chain from the driver to the plan."""

    what: str
    judgement: Judgement
    found: str
    fix: str = ""
    """The command that fixes it, or empty."""


def check_gpu(
    configuration: LoadedConfiguration | None, *, library: str = LIBRARY, root: Path = jetson.ROOT
) -> Iterator[Link]:
    """Every link, also behind one that is broken.

    Args:
        configuration: of the station; None: it has none yet.
        library: the driver.
        root: where the files of a Jetson are.
    """
    board = jetson.read_jetson(root)
    yield _platform(board)
    gpu = probe(library)
    yield from _gpu(gpu, board, library)
    if isinstance(gpu, Gpu):
        yield _cuda_libraries(gpu, board)
    tensorrt, pycuda = _tensorrt(gpu, board), _pycuda(gpu, board)
    yield tensorrt
    yield pycuda
    loads = tensorrt.judgement is Judgement.OK and pycuda.judgement is Judgement.OK
    yield _plan(configuration, ready=loads)
    if board is not None:
        yield _power_mode(root)
        yield _clocks(root)
    if isinstance(gpu, Gpu):
        yield _slowdown(gpu)
        if loads:
            yield _memory(gpu, load_libraries(gpu))


def _platform(board: Jetson | None) -> Link:
    if board is None:
        return Link("computer", Judgement.OK, f"{os.uname().machine}, Python {sys.version.split()[0]}; no Jetson")
    if board.jetpack is None:
        found = f"Jetson Linux {board.release}: JetPack 6 (36.x) and 7 (38.x, 39.x) are known to work"
        return Link("computer", Judgement.ADVICE, found, "flash JetPack 6.2 or newer with NVIDIA SDK Manager")
    return Link("computer", Judgement.OK, f"Jetson Linux {board.release}, JetPack {board.jetpack}")


def _gpu(gpu: Gpu | NoGpu, board: Jetson | None, library: str) -> Iterator[Link]:
    if isinstance(gpu, NoGpu):
        yield Link("driver and GPU", Judgement.MISSING, gpu.reason, _driver_command(board, library))
        return
    yield Link("driver", Judgement.OK, f"for CUDA {gpu.driver}, counts {gpu.device_count}")
    yield Link("GPU", Judgement.OK, str(gpu))


def _driver_command(board: Jetson | None, library: str) -> str:
    try:
        Driver(library)
    except DriverMissing:
        return _install_driver_command(board)
    if board is not None:
        return f"sudo usermod -aG video,render {shlex.quote(getpass.getuser())}  # and log in again"
    return "nvidia-smi; ls -l /dev/nvidia*; sudo dmesg | grep -i nvrm"


def _install_driver_command(board: Jetson | None) -> str:
    if board is not None:
        return "sudo apt install nvidia-jetpack && sudo reboot  # in a container: docker run --runtime nvidia ..."
    if shutil.which("ubuntu-drivers"):
        return "sudo ubuntu-drivers install && sudo reboot"
    return "sudo apt install nvidia-driver && sudo reboot  # Debian: component non-free; in a container: --gpus all"


def _cuda_libraries(gpu: Gpu, board: Jetson | None) -> Link:
    """Wheels of TensorRT are for one major version of CUDA, and need a driver for it."""
    if board is not None:
        toolkit = "there" if CUDA_HOME.exists() else "not there"
        if CUDA_HOME.exists():
            return Link("CUDA", Judgement.OK, f"of JetPack: {CUDA_HOME} is {toolkit}")
        return Link("CUDA", Judgement.MISSING, f"{CUDA_HOME} is {toolkit}", "sudo apt install nvidia-jetpack")
    majors = [major for major in (12, 13) if _version_of(f"tensorrt-cu{major}")]
    driver_major = gpu.driver_version // 1000
    if any(major > driver_major for major in majors):
        found = f"TensorRT is installed for CUDA {majors[-1]}, the driver is for CUDA {gpu.driver}"
        return Link("CUDA", Judgement.MISSING, found, _tensorrt_command(gpu, board) + "  # or a newer driver")
    where = f"with TensorRT, for CUDA {majors[-1]}" if majors else "with TensorRT or the system"
    return Link("CUDA", Judgement.OK, f"libraries come {where}; the driver is for CUDA {gpu.driver}")


def _tensorrt(gpu: Gpu | NoGpu, board: Jetson | None) -> Link:
    if util.find_spec("tensorrt") is None:
        return Link("tensorrt", Judgement.MISSING, "not installed", _tensorrt_command(gpu, board))
    if isinstance(gpu, NoGpu):
        version = _version_of("tensorrt") or "installed"
        return Link("tensorrt", Judgement.ADVICE, f"{version}, not loaded without a GPU; supported is {_RANGE}")
    try:
        found = load_tensorrt(gpu).__version__
    except GpuUnusable as problem:
        return Link("tensorrt", Judgement.MISSING, str(problem), _tensorrt_command(gpu, board))
    return Link("tensorrt", Judgement.OK, f"{found}, supported ({_RANGE})")


def _pycuda(gpu: Gpu | NoGpu, board: Jetson | None) -> Link:
    if util.find_spec("pycuda") is None:
        return Link("pycuda", Judgement.MISSING, *_without_pycuda(board))
    version = _version_of("pycuda") or "installed"
    if isinstance(gpu, NoGpu):
        return Link("pycuda", Judgement.ADVICE, f"{version}, not loaded without a GPU")
    try:
        load_pycuda(gpu)
    except GpuUnusable as problem:
        again = f"{_pip()} --force-reinstall --no-deps --no-cache-dir --no-binary pycuda 'pycuda>=2024.1'"
        return Link("pycuda", Judgement.MISSING, str(problem), again)
    return Link("pycuda", Judgement.OK, version)


def _without_pycuda(board: Jetson | None) -> tuple[str, str]:
    """What is missing, and the command."""
    toolkit = _nvcc()
    if toolkit is None and board is None:
        return (
            "not installed",
            "sudo deploy/desktop/install.sh  # in the station's repository: builds it",
        )
    if toolkit is None:
        return "not installed, and no CUDA toolkit (nvcc) to build it with", "sudo apt install nvidia-jetpack"
    path = shlex.quote(str(toolkit.parent))
    return "not installed; it is built here", f"PATH={path}:$PATH {_pip()} 'pycuda>=2024.1'"


def _tensorrt_command(gpu: Gpu | NoGpu, board: Jetson | None) -> str:
    if board is None:
        major = "12" if isinstance(gpu, Gpu) and gpu.driver_version < 13000 else "13"
        return f"{_pip()} --extra-index-url {NVIDIA_INDEX} 'tensorrt-cu{major}{_RANGE}'"
    if _sees_system_packages():
        return "sudo apt install python3-libnvinfer"
    return f"/usr/bin/python3 -m venv --clear --system-site-packages {shlex.quote(sys.prefix)}  # then install again"


def _sees_system_packages() -> bool:
    """Not so in an environment that was made without --system-site-packages."""
    if sys.prefix == sys.base_prefix:
        return True
    try:
        settings = (Path(sys.prefix) / "pyvenv.cfg").read_text("utf-8").lower()
    except OSError:
        return False
    return "include-system-site-packages = true" in settings


def _plan(configuration: LoadedConfiguration | None, *, ready: bool) -> Link:
    if configuration is None:
        return Link(
            "plan", Judgement.ADVICE, "no configuration, so no engine: not looked at", "station check --config FILE"
        )
    path, section = configuration.engine_path, configuration.settings.engine
    if section.runtime not in ("auto", "tensorrt"):
        found = f'[engine] runtime = "{section.runtime}": the station does not use the GPU'
        return Link("plan", Judgement.ADVICE, found, f'set runtime = "tensorrt" in {configuration.path}')
    try:
        if path is not None and not is_there(path):
            path = None
    except StoreError as problem:
        return Link("plan", Judgement.MISSING, str(problem), "station engine list")
    if path is None:
        return Link("plan", Judgement.ADVICE, "the station has no engine yet", "station teach")
    if not ready:
        return Link("plan", Judgement.MISSING, "not looked at before the links above are fixed")
    return _open_plan(path, section.precision, f"station engine build --config {shlex.quote(str(configuration.path))}")


def _open_plan(path: Path, precision: Precision, build: str) -> Link:
    """Opens the plan of the engine at `path` as the daemon does."""
    try:
        maker = PlanMaker(read_bundle(path), precision)
        found_plan = maker.find()
        if found_plan.state is not PlanState.READY:
            fix = (
                build if found_plan.rebuilding_helps else f'{build} --precision fp32  # and [engine] precision = "fp32"'
            )
            return Link("plan", Judgement.MISSING, f"{found_plan.state.value}: {found_plan.detail}", fix)
        with maker.open() as runtime:
            notes = "; ".join(runtime.notes) or "with CUDA graphs"
    except PlanUnusable as problem:
        return Link("plan", Judgement.MISSING, str(problem), build)
    except EngineError as problem:
        return Link("plan", Judgement.MISSING, str(problem))
    return Link("plan", Judgement.OK, f"ready, {precision}, {notes}; {found_plan.detail}")


def _power_mode(root: Path) -> Link:
    mode = jetson.read_power_mode(root)
    if mode is None:
        return Link("power mode", Judgement.ADVICE, "not known", "sudo nvpmodel -q")
    if mode.is_fastest:
        return Link("power mode", Judgement.OK, mode.name)
    found = f"{mode.name}: slower than {mode.fastest}"
    return Link(
        "power mode", Judgement.ADVICE, found, f"sudo nvpmodel -m {mode.fastest_id}  # needs cooling; may restart"
    )


def _clocks(root: Path) -> Link:
    match jetson.clocks_are_held(root):
        case True:
            return Link("clocks", Judgement.OK, "held at their highest")
        case False:
            return Link("clocks", Judgement.ADVICE, "fall between parts, so parts take longer", "sudo jetson_clocks")
        case None:
            return Link("clocks", Judgement.ADVICE, "not known", "sudo jetson_clocks --show")


def _slowdown(gpu: Gpu) -> Link:
    monitor = ThermalMonitor(gpu.pci_bus_id)
    try:
        slowed_down = monitor.slowdown()
        known = monitor.is_there
    finally:
        monitor.close()
    if slowed_down:
        return Link("heat and power", Judgement.ADVICE, slowed_down, "nvidia-smi -q -d PERFORMANCE,TEMPERATURE")
    return Link("heat and power", Judgement.OK, "not slowed down" if known else "not known: no NVML")


def _memory(gpu: Gpu, libraries: Libraries) -> Link:
    try:
        device = Device(libraries.cuda, integrated=gpu.integrated)
        with device.current():
            free_bytes = device.free_bytes()
            device.close()
    except libraries.cuda.Error as problem:
        return Link("memory", Judgement.MISSING, f"no context on {gpu.name}: {problem}", "nvidia-smi; sudo dmesg")
    found = f"{free_bytes / (1 << 30):.1f} of {gpu.memory_bytes / (1 << 30):.1f} GiB free"
    if free_bytes < ENOUGH_BYTES:
        command = "free -h; sudo systemctl set-default multi-user.target" if gpu.integrated else "nvidia-smi"
        return Link("memory", Judgement.ADVICE, f"{found}: little to build a plan with", command)
    return Link("memory", Judgement.OK, found)


def _nvcc() -> Path | None:
    found = shutil.which("nvcc") or shutil.which("nvcc", path=str(CUDA_HOME / "bin"))
    return Path(found) if found else None


def _pip() -> str:
    return f"{shlex.quote(sys.executable)} -m pip install"


def _version_of(package: str) -> str:
    """Empty when it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
