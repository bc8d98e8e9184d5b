"""The points of the PLC map as they stand: what the PLC wrote last, and what it is shown. For set-up, read only.

Keeps one reference of each, on the way past: the link is asked nothing, and nobody waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from drivers.plc.protocol import PlcInputs, PlcOutputs


class Points:
    """Written by the threads of the link and of signalling, read by those of the control socket."""

    def __init__(self) -> None:
        self._inputs = PlcInputs()
        self._outputs = PlcOutputs()
        self._wrote_ns = 0

    def wrote(self, on_inputs: Callable[[PlcInputs], None]) -> Callable[[PlcInputs], None]:
        """Keeps what the PLC writes, and passes it on."""

        def kept(inputs: PlcInputs) -> None:
            self._inputs, self._wrote_ns = inputs, time.monotonic_ns()
            on_inputs(inputs)

        return kept

    def shown(self, publish: Callable[[PlcOutputs], None]) -> Callable[[PlcOutputs], None]:
        """Keeps what the PLC is shown, and passes it on."""

        def kept(outputs: PlcOutputs) -> None:
            self._outputs = outputs
            publish(outputs)

        return kept

    def reply(self, _request: Mapping[str, Any]) -> dict[str, Any]:
        """`{"command": "points"}`."""
        wrote = self._wrote_ns
        return {
            "inputs": asdict(self._inputs),
            "outputs": asdict(self._outputs),
            "wrote_age_s": None if not wrote else (time.monotonic_ns() - wrote) / 1e9,
        }
