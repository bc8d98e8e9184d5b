"""What the station asks of the link to a PLC, and the two blocks that travel over it.

The fields are the points of the register map (see `signal_map`), one attribute per point, named as there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol


class PlcError(Exception):
    """The link to the PLC cannot be opened (port in use, bad address, ...)."""


@dataclass(frozen=True, slots=True)
class PlcInputs:
    """The control block: what the PLC has written."""

    trigger_enable: bool = False
    trigger: bool = False
    results_ack: bool = False
    buffer_enable: bool = False
    execute: bool = False
    clear_error: bool = False
    clear_exposure_complete: bool = False
    set_offline: bool = False
    reject_confirmed: bool = False
    bin_full: bool = False
    challenge_mode: bool = False
    latch_part_id: bool = False
    reject_confirmed2: bool = False
    reject_confirmed3: bool = False
    reject_confirmed4: bool = False
    part_at_ejector: bool = False
    plc_heartbeat: int = 0
    command: int = 0
    command_argument: int = 0
    part_id: int = 0
    encoder_count: int = 0
    deadline_ms: int = 0
    encoder_now: int = 0
    batch_name: str = ""
    """As it stands in the registers, one letter a byte: anything from U+0001 to U+00FF."""


@dataclass(frozen=True, slots=True)
class PlcOutputs:
    """The status block: what the PLC reads. Reject is 1 unless a valid Pass stands."""

    online: bool = False
    trigger_ready: bool = False
    trigger_ack: bool = False
    busy: bool = False
    exposure_complete: bool = False
    inspection_completed: bool = False
    results_valid: bool = False
    pass_: bool = False
    reject: bool = True
    review: bool = False
    overrun: bool = False
    missed_trigger: bool = False
    executing: bool = False
    command_completed: bool = False
    command_failed: bool = False
    fault: bool = False
    warning: bool = False
    drift: bool = False
    challenge_due: bool = False
    part_id_ack: bool = False
    ejector1: bool = False
    ejector2: bool = False
    ejector3: bool = False
    ejector4: bool = False
    line_stop: bool = False
    challenge_running: bool = False
    recipe_changing: bool = False
    map_version: int = 2
    heartbeat: int = 0
    state: int = 1
    offline_reason: int = 0
    error_code: int = 0
    warning_code: int = 0
    free_result_slots: int = 0
    ejectors: int = 0
    """Bit n - 1: Ejector n."""
    acquisition_id: int = 0
    inspection_id: int = 0
    part_id_echo: int = 0
    result: int = 0
    reason_code: int = 0
    score: float = 0.0
    threshold: float = 0.0
    defect_area: int = 0
    """In counts of 0.001 mm²."""
    latency: int = 0
    """Trigger to result, in counts of 0.1 ms; 65535 stands for that long or longer."""
    recipe: int = 0
    engine_id: int = 0
    config_checksum: int = 0
    encoder_count_echo: int = 0
    count_triggers: int = 0
    count_pass: int = 0
    count_fail: int = 0
    count_review: int = 0
    count_error: int = 0
    count_missed: int = 0
    recipe_checksum: int = 0
    challenge_state: int = 0
    challenge_step: int = 0
    count_ejected: int = 0
    defect_class: int = 0
    """What the PLC calls the kind of defect; 0: none."""
    command_result: int = 0
    batch_number: int = 0


@dataclass(frozen=True, slots=True)
class LinkEvent:
    """Something about the link itself that people should know: a writer came, left or was refused.

    Clients that only read come and go without a word.
    """

    kind: str
    """`connected`: this client writes from now on (client role: the PLC responds). `disconnected`: it left, anyone may
    write now (client role: the PLC is lost, reported once). `refused`: a client did what it may not, reported once a
    minute per host. `failed`: the link itself is dead."""
    peer: str
    detail: str = ""


class PlcLink(Protocol):
    """A link that is open between `__enter__` and `__exit__`. `publish` may be called from any one thread."""

    def __enter__(self) -> PlcLink: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def publish(self, outputs: PlcOutputs) -> None:
        """Makes the whole status block visible at once: no reader ever sees half of it. Never blocks on the network."""
        ...


OnInputs = Callable[[PlcInputs], None]
"""Called with the whole control block after *every* write that changed it, in order: no edge is lost. Also called with
the first write of every new writer, changed or not. On the link's own thread; must not block."""

OnLinkEvent = Callable[[LinkEvent], None]
