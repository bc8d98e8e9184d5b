"""A plan on the GPU: deserialised, with its scratch memory, ready to make execution contexts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from engines.errors import PlanUnusable, RuntimeFailure
from engines.runtimes.tensorrt.device import Device

if TYPE_CHECKING:
    import pycuda.driver
    import tensorrt

ALIGNMENT_BYTES = 256

Tensors = Mapping[str, tuple[bool, Any, tuple[int, ...]]]
"""Name -> (is an input, `tensorrt.DataType`, shape with -1 for what is free)."""


class NotDone(Exception):
    """A function of TensorRT said no; its log says why."""


class LoadedPlan:
    """Owns what TensorRT makes of a plan. The device's context is current whenever this is used.

    Args:
        trt: the module.
        log: what `make_logger` made.
        device: where it runs.
        plan: the serialised plan; its hash was checked.

    Raises:
        PlanUnusable: TensorRT does not take the plan.
        NotDone: memory is short.
        What pycuda raises: likewise.
    """

    def __init__(self, trt: Any, log: Any, device: Device, plan: bytes) -> None:
        self._trt = trt
        runtime: tensorrt.Runtime = trt.Runtime(log)
        engine: tensorrt.ICudaEngine | None = runtime.deserialize_cuda_engine(plan)
        if engine is None and "out of memory" in log.text.lower():
            raise NotDone("the plan was not deserialised")
        if engine is None:
            raise PlanUnusable(
                f"TensorRT {trt.__version__} does not take the plan: {log.text}; station engine build",
                rebuilding_helps=True,
            )
        # Released last: contexts belong to the engine, the engine belongs to the runtime.
        self._objects: list[Any] = [runtime, engine]
        # Contexts that never run at the same time may share it.
        self._scratch_bytes = max(int(engine.device_memory_size_v2), ALIGNMENT_BYTES)
        self._scratch: pycuda.driver.DeviceAllocation = device.memory(self._scratch_bytes)

    def check(self, wanted: Tensors) -> None:
        """Compare inputs and outputs. Raises RuntimeFailure when they differ."""
        trt = self._trt
        engine: tensorrt.ICudaEngine = self._objects[1]
        found = {}
        for index in range(engine.num_io_tensors):
            name: str = engine.get_tensor_name(index)
            is_input: bool = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
            found[name] = (is_input, engine.get_tensor_dtype(name), tuple(engine.get_tensor_shape(name)))
        if found != dict(wanted):
            raise RuntimeFailure(f"the plan has {found}, the manifest says {dict(wanted)}; build it again")

    def kinds_of(self, output: str) -> int:
        """How many kinds of defects the plan knows: numbers an image in this output; 0 without it."""
        engine: tensorrt.ICudaEngine = self._objects[1]
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        return int(tuple(engine.get_tensor_shape(output))[-1]) if output in names else 0

    def context(self, addresses: Mapping[str, int], shapes: Mapping[str, tuple[int, ...]]) -> Any:
        """An `IExecutionContext` that reads and writes at `addresses`, with inputs of `shapes`. Raises NotDone.

        Args:
            addresses: of every tensor, on the GPU.
            shapes: of the inputs that have a free dimension.
        """
        engine: tensorrt.ICudaEngine = self._objects[1]
        context: tensorrt.IExecutionContext | None = engine.create_execution_context(
            self._trt.ExecutionContextAllocationStrategy.USER_MANAGED
        )
        if context is None:
            raise NotDone(f"no execution context for {dict(shapes)}")
        self._objects.append(context)
        context.set_device_memory(int(self._scratch), self._scratch_bytes)
        done = all(context.set_tensor_address(name, address) for name, address in addresses.items())
        if not (done and all(context.set_input_shape(name, shape) for name, shape in shapes.items())):
            raise NotDone(f"the execution context does not take {dict(shapes)}")
        return context

    def close(self) -> None:
        """Give everything back; may be called twice. Nobody uses a context any more."""
        while self._objects:
            self._objects.pop()
        if hasattr(self, "_scratch"):
            self._scratch.free()
            del self._scratch
