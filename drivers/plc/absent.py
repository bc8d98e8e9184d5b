"""The link of a station without a PLC: `[plc] role = "off"`."""

from __future__ import annotations

from drivers.plc.protocol import OnInputs, PlcInputs, PlcOutputs


class NoPlc:
    """Holds TriggerEnable at 1 and drops what is published: nobody reads it."""

    def __init__(self, on_inputs: OnInputs) -> None:
        self._on_inputs = on_inputs

    def __enter__(self) -> NoPlc:
        self._on_inputs(PlcInputs(trigger_enable=True))
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def publish(self, _outputs: PlcOutputs, /) -> None:
        return None
