"""What the simulated line will do, as one JSON file: the line, and every part that will come, in order.

The truth of a part is known here and in the line's own log, never to the station.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from station.simulation.parts.ageing import Ageing, Kind, aged
from station.simulation.parts.pictures import GOOD, Canvas, Pixels, read_image
from station.simulation.parts.rendered import FLANGE, render
from station.simulation.plant.ejector import EjectBy
from station.simulation.plant.faults import Fault, FaultKind
from station.simulation.plant.plc_signals import TriggerMode

TEACH, MASTERS, INSPECT, AFTERWARDS = "teach", "masters", "inspect", "afterwards"
"""Phases of a schedule; master parts have an account of their own, and parts that come afterwards are on none."""
SCAN_S = 0.005
"""Cycle of the PLC."""
PACED_RATE_PER_S = 20.0
"""Up to this rate PLC and belt run at their own pace; parts that come faster make both faster."""
FACE_SEEDS = 10**9
"""Between the seeds of two faces of a part: no other part has them."""


@dataclass(frozen=True, slots=True)
class ScheduledPart:
    """One part. Serial numbers start at 1 and have no gaps, as the PLC counts."""

    serial: int
    phase: str
    """`teach`, `masters`, `inspect` or `afterwards`."""
    truth: str
    """`good` or the kind of defect."""
    image: str = ""
    """Path of its picture; empty for a rendered part."""
    seed: int = 0
    """Of a rendered part."""
    product: str = FLANGE
    """Of a rendered part."""
    recipe: int = 0
    """The PLC selects this recipe before the part comes; 0: whichever is active."""

    def pixels(self, canvas: Canvas) -> Pixels:
        """What the camera in front of it sees."""
        return canvas.fit(read_image(Path(self.image)) if self.image else render(self.seed, self.truth, self.product))


@dataclass(frozen=True, slots=True)
class LineSchedule:
    """All that the process of the line needs."""

    canvas: Canvas
    parts: tuple[ScheduledPart, ...]
    rate_per_s: float
    transit_s: float
    """Time of a part from light barrier to ejector."""
    scene_prefix: str
    plc_host: str
    plc_port: int
    plc_unit: int = 1
    trigger: TriggerMode = TriggerMode.LINE
    eject_by: EjectBy = EjectBy.PLC
    faults: tuple[Fault, ...] = ()
    """What the PLC does wrong."""
    seed: int = 0
    """Of the faults."""
    clear_fault_after_s: float | None = None
    """Time until a fault of the station is cleared at the line; None: never."""
    cameras: int = 1
    """All at the light barrier, each in front of a face of its own. The faces look alike; a defect is on one."""
    good_images: tuple[str, ...] = ()
    """Pictures for the faces without the defect; empty: rendered."""
    batch: str = ""
    """Name of the batch that the PLC begins before the first part and ends behind the last; empty: none."""
    ageing: tuple[Ageing, ...] = ()
    """What the line loses while parts are inspected; the station is taught by a line that is new."""

    @property
    def is_fast(self) -> bool:
        """Parts come so fast that the belt waits where the station is not ready, and pictures are shown repeatedly."""
        return self.rate_per_s > PACED_RATE_PER_S

    @property
    def scan_s(self) -> float:
        """Cycle of the PLC and of its communication: ten from part to part, because a handshake takes several."""
        return min(SCAN_S, SCAN_S * PACED_RATE_PER_S / self.rate_per_s)

    def pictures(self, part: ScheduledPart) -> tuple[Pixels, ...]:
        """What the cameras see of a part, in their order."""
        defective_face = part.serial % self.cameras
        faces = (part if camera == defective_face else self._good_face(part, camera) for camera in range(self.cameras))
        return tuple(aged(face.pixels(self.canvas), self.ageing, self.age_of(part)) for face in faces)

    def age_of(self, part: ScheduledPart) -> float:
        """Share of the inspected parts that came before, 0 to 1; taught ones come from a new line."""
        before = sum(other.phase in (TEACH, MASTERS) for other in self.parts) if self.ageing else 0
        inspected = sum(other.phase == INSPECT for other in self.parts) if self.ageing else 0
        return min(1.0, max(0, part.serial - before - 1) / max(1, inspected - 1))

    def _good_face(self, part: ScheduledPart, camera: int) -> ScheduledPart:
        if self.good_images:
            number = part.serial * self.cameras + camera
            return replace(part, truth=GOOD, image=self.good_images[number % len(self.good_images)])
        return replace(part, truth=GOOD, seed=part.seed + FACE_SEEDS * (camera + 1))

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self), indent=1, default=_as_word), encoding="utf-8")


def _as_word(value: object) -> object:
    """A word of an enumeration that is no text itself."""
    if isinstance(value, Kind):
        return value.value
    raise TypeError(f"{type(value).__name__} cannot be stored")


def load_schedule(path: Path) -> LineSchedule:
    """Reads what `LineSchedule.save` wrote."""
    data = json.loads(path.read_text(encoding="utf-8"))
    return LineSchedule(
        **{
            **data,
            "canvas": Canvas(**data["canvas"]),
            "parts": tuple(ScheduledPart(**part) for part in data["parts"]),
            "trigger": TriggerMode(data["trigger"]),
            "eject_by": EjectBy(data["eject_by"]),
            "good_images": tuple(data["good_images"]),
            "ageing": tuple(Ageing(**{**each, "kind": Kind(each["kind"])}) for each in data["ageing"]),
            "faults": tuple(Fault(FaultKind(fault["kind"]), fault["probability"]) for fault in data["faults"]),
        }
    )
