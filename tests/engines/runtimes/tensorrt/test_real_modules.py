"""Every name and call of TensorRT that the package uses exists in the real modules: the lean runtimes of 10.16 and
11.4, and for building the builder of TensorRT for RTX, which is another product with the same interface.

What is used is read from the source (`used_names`), so nothing can be forgotten. No GPU is needed, and nothing is run.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import engines.runtimes.tensorrt
from tests.engines.runtimes.tensorrt import check_module
from tests.engines.runtimes.tensorrt.used_names import Used, used_in
from tests.engines.runtimes.tensorrt.wheels import installed

PACKAGE = Path(engines.runtimes.tensorrt.__file__).parent
LEAN = ("10.16.1.11", "11.4.0.106")
FULL = ("tensorrt-cu12-bindings==10.3.0", *(f"tensorrt-cu13-bindings=={version}" for version in LEAN))
BUILDING = "builder.py"
"""What only a full TensorRT has, the lean runtimes have not."""
INFERENCE = ("frame_plan.py", "libraries.py", "loaded_plan.py", "runtime.py")
SHARED = {"ILogger", "ILogger.Severity.WARNING"}


@pytest.fixture(scope="module")
def files() -> dict[str, Used]:
    found = {file.name: used_in(file) for file in sorted(PACKAGE.glob("*.py"))}
    return {name: used for name, used in found.items() if used.names or used.members}


def problems(module: str, used: Used, folder: Path | None = None) -> list[str]:
    """Asks the real module, in a process of its own; `folder`: where it is installed, if not here."""
    done = subprocess.run(
        [sys.executable, check_module.__file__, module],
        input=json.dumps(used.as_json()),
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | ({} if folder is None else {"PYTHONPATH": str(folder)}),
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


def lean(version: str) -> Path:
    return installed(f"tensorrt-lean-cu13-libs=={version}", f"tensorrt-lean-cu13-bindings=={version}")


def test_what_is_collected(files: dict[str, Used]) -> None:
    """The collector sees what it is there for."""
    assert set(files) == {BUILDING, *INFERENCE}
    loaded, build = files["loaded_plan.py"], files[BUILDING]
    assert ("ICudaEngine", "device_memory_size_v2") in loaded.members
    assert ("IExecutionContext", "set_input_shape") in {(call.owner, call.name) for call in loaded.calls}
    assert "ExecutionContextAllocationStrategy.USER_MANAGED" in loaded.names
    assert {"Runtime", "TensorIOMode.INPUT"} <= loaded.names
    for name in ("runtime.py", "frame_plan.py"):
        assert ("IExecutionContext", "execute_async_v3") in files[name].members
        assert "DataType.UINT8" in files[name].names
    assert ("IProgressMonitor", "step_complete") in build.overridden
    assert ("ILogger", "log") in build.overridden
    assert ("IBuilderConfig", "progress_monitor") in build.members
    assert {"NetworkDefinitionCreationFlag.STRONGLY_TYPED", "OnnxParser", "MemoryPoolType.WORKSPACE"} <= build.names
    assert files["libraries.py"].names == {"__version__"}


@pytest.mark.system
@pytest.mark.parametrize("version", LEAN)
def test_the_lean_runtime_has_what_inference_uses(files: dict[str, Used], version: str) -> None:
    folder = lean(version)
    for name in INFERENCE:
        assert problems("tensorrt_lean_bindings", files[name], folder) == [], name
    logger = Used(names=SHARED, overridden={("ILogger", "log")})
    assert problems("tensorrt_lean_bindings", logger, folder) == []


@pytest.mark.system
@pytest.mark.skipif(platform.machine() != "x86_64", reason="TensorRT for RTX is for x86-64")
def test_the_rtx_builder_has_what_building_uses(files: dict[str, Used]) -> None:
    for name in (BUILDING, "libraries.py"):
        assert problems("tensorrt_rtx_bindings", files[name]) == [], name


@pytest.mark.system  # pip, where the wheels are not in the cache yet
@pytest.mark.skipif(sys.version_info >= (3, 13), reason="there are no bindings of 10.3 for this Python")
@pytest.mark.parametrize("package", FULL)
def test_the_full_bindings_name_what_is_used(files: dict[str, Used], package: str) -> None:
    """The bindings of the full TensorRT cannot be imported without its libraries, which are not on PyPI. But each name
    that Python sees stands in them as a string. 10.3 is what JetPack 6 has.
    """
    (binary,) = installed(package).glob("tensorrt_bindings/tensorrt.so")
    strings = set(re.findall(rb"[A-Za-z_][A-Za-z0-9_]*", binary.read_bytes()))
    steps = set()
    for used in files.values():
        steps |= {step for path in used.names for step in path.split(".")}
        steps |= {name for member in used.members for name in member}
    steps = {step for step in steps if len(step) >= 8}  # compilers write shorter ones into the code
    assert sorted(step for step in steps - {"__version__"} if step.encode() not in strings) == []


def test_the_check_finds_what_is_missing() -> None:
    """In a module of the same kind, the check reports what does not exist or is called otherwise."""

    class ICudaEngine:
        def get_tensor_name(self) -> None:
            """get_tensor_name(self: m.ICudaEngine, index: int) -> str"""

        def create(self) -> None:
            """create(*args, **kwargs)
            Overloaded function.

            1. create(self: m.ICudaEngine, strategy: m.Strategy = <Strategy.STATIC: 0>) -> m.IExecutionContext

            2. create(self: m.ICudaEngine, config: m.Config) -> m.IExecutionContext
            """

    module = ModuleType("m")
    module.ICudaEngine = ICudaEngine  # type: ignore[attr-defined]

    def ask(**used: list[list[object]]) -> list[str]:
        return check_module.problems_of(module, {"names": [], "members": [], "calls": [], "overridden": [], **used})

    assert ask(names=[["ICudaEngine"]], members=[["ICudaEngine", "create"]]) == []
    assert ask(names=[["IBuilder"]]) == ["IBuilder does not exist"]
    assert ask(members=[["ICudaEngine", "gone"]]) == ["ICudaEngine.gone does not exist"]
    assert ask(calls=[["ICudaEngine", "get_tensor_name", 1, [], True]]) == []
    assert ask(calls=[["ICudaEngine", "get_tensor_name", 0, ["index"], False]]) == []
    assert len(ask(calls=[["ICudaEngine", "get_tensor_name", 2, [], False]])) == 1
    assert len(ask(calls=[["ICudaEngine", "get_tensor_name", 0, ["name"], False]])) == 1
    assert ask(calls=[["ICudaEngine", "create", 0, [], False], ["ICudaEngine", "create", 1, [], False]]) == []
    assert "annotation" in ask(calls=[["ICudaEngine", "create", 0, [], True]])[0]
