"""Section `[reject]`: who pushes bad parts off the belt, where and when.

What depends on the product, and so may stand in a recipe, is a base class here; what is wired is in the section itself.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from station.codes import ReasonCode
from station.configuration.section import Section
from station.results import Verdict

Verdicts = Literal["FAIL", "REVIEW", "ERROR"]


def _reason(value: object) -> object:
    """A reason code by number or name."""
    if isinstance(value, str) and value in ReasonCode.__members__:
        return int(ReasonCode[value])
    if isinstance(value, int) and not isinstance(value, bool) and value in {int(code) for code in ReasonCode if code}:
        return value
    raise ValueError(f"{value!r} is no reason code; allowed are the numbers and names of docs/plc.md, ReasonCode")


Reason = Annotated[int, BeforeValidator(_reason)]


class EjectorAim(Section):
    """What a recipe may set of an ejector: `[[reject.ejectors]]`, one for each of station.toml, in the same order."""

    distance_counts: int | None = Field(
        None, ge=1, le=1_000_000_000, description="From camera trigger to ejector, with an encoder."
    )
    distance_ms: float | None = Field(
        None, gt=0, le=600_000, description='From camera trigger to ejector, with `encoder = "time"`.'
    )
    pulse_counts: int | None = Field(None, ge=1, description="Length of the pulse, with an encoder; or `pulse_ms`.")
    pulse_ms: float | None = Field(
        None, gt=0, le=10_000, description="Length of the pulse. It ends with the window at the latest."
    )
    lead_ms: float = Field(
        0.0, ge=0, le=1000, description="The pulse begins this much earlier: delay of the valve and of the way to it."
    )
    verdicts: list[Verdicts] = Field(default_factory=list, description="Takes parts with these verdicts.")
    reasons: list[Reason] = Field(
        default_factory=list, description="Takes parts with these reason codes (numbers or names)."
    )
    confirm_ms: float | None = Field(
        None,
        gt=0,
        le=60_000,
        description="RejectConfirmed must rise so soon after the pulse, else the line stops. Unset: no sensor.",
    )


class EjectorSection(EjectorAim):
    """One ejector, in the order in which parts reach them: `[[reject.ejectors]]`, 1 to 4 of them.

    A part is pushed by the first one that takes its verdict or reason; the last one takes all that are not PASS.
    A recipe may set all but `output`, `camera` and `line`.
    """

    output: Literal["plc", "camera"] = Field(
        "plc",
        description="`plc`: bits Ejector1 to 4, register Ejectors. `camera`: an output line of a camera, too.",
    )
    camera: str = Field("", description='Camera of `output = "camera"`; empty: the first one.')
    line: str = Field("Line2", description='LineSelector of `output = "camera"`.', min_length=1)

    @model_validator(mode="after")
    def _one_pulse(self) -> EjectorSection:
        if (self.pulse_counts is None) == (self.pulse_ms is None):
            raise ValueError("one of `pulse_counts` and `pulse_ms` is needed")
        return self


class RejectDistances(Section):
    """Distances along the belt that depend on the product: its length, and how it stands in the picture."""

    window_counts: int | None = Field(
        None, ge=1, description="A part may be pushed so far from its place; parts closer than this are both rejected."
    )
    window_ms: float | None = Field(None, gt=0, description='The same with `encoder = "time"`.')
    sensor_counts: int | None = Field(
        None, ge=1, description="From camera trigger to the sensor PartAtEjector. Unset: there is none."
    )
    sensor_ms: float | None = Field(None, gt=0, description='The same with `encoder = "time"`.')


class RejectOfRecipe(RejectDistances):
    """`[reject]` of a recipe: only where the station tracks."""

    ejectors: list[EjectorAim] = Field(default_factory=list, max_length=4, description="The ejectors.")


class RejectSection(RejectDistances):
    """Tracking from camera to ejector; see docs/plc.md.

    What is wired is only in station.toml and needs a restart: `by` and the `encoder` keys. A recipe may set the rest.
    """

    by: Literal["plc", "station"] = Field(
        "plc", description="Who tracks and pushes. `plc`: the station only signals results, PartId and EncoderCount."
    )
    encoder: Literal["plc", "camera", "time"] = Field(
        "plc",
        description="Where the belt is: register EncoderNow, an encoder at a camera, or time (constant speed).",
    )
    encoder_camera: str = Field("", description='Camera of `encoder = "camera"`; empty: the first one.')
    encoder_feature: str = Field(
        "EncoderValue", description="Its GenICam feature: EncoderValue or CounterValue.", min_length=1
    )
    ejectors: list[EjectorSection] = Field(default_factory=list, max_length=4, description="The ejectors.")

    @model_validator(mode="after")
    def _complete(self) -> RejectSection:
        if self.by == "plc":
            return self
        if not self.ejectors:
            raise ValueError('by = "station" needs at least one [[reject.ejectors]]')
        self._check_units()
        distances = [self.distance_of(ejector) for ejector in self.ejectors]
        if sorted(distances) != distances:
            raise ValueError(f"ejectors in the order in which parts reach them: distances {distances} do not grow")
        window = self.window
        if distances[0] <= window:
            raise ValueError(f"the first ejector at {distances[0]:g} is within the window {window:g} of the camera")
        if self.sensor is not None and not window < self.sensor <= distances[0] - window:
            raise ValueError(
                f"sensor at {self.sensor:g}: it must lie beyond the window {window:g} and the window before "
                f"the first ejector ({distances[0]:g})"
            )
        for ejector in self.ejectors:
            pulse = ejector.pulse_ms if self.encoder == "time" else ejector.pulse_counts
            if pulse is not None and pulse > window:
                raise ValueError(f"pulse {pulse:g} is longer than the window {window:g}: it would hit the next part")
        return self

    def _check_units(self) -> None:
        """Distances are on the axis of the encoder."""
        unit, other = ("ms", "counts") if self.encoder == "time" else ("counts", "ms")
        for name in ("window", "sensor"):
            if getattr(self, f"{name}_{other}") is not None:
                raise ValueError(f'encoder = "{self.encoder}": use `{name}_{unit}`, not `{name}_{other}`')
        if getattr(self, f"window_{unit}") is None:
            raise ValueError(f'encoder = "{self.encoder}" needs `window_{unit}`')
        for ejector in self.ejectors:
            if getattr(ejector, f"distance_{other}") is not None or getattr(ejector, f"distance_{unit}") is None:
                raise ValueError(f'encoder = "{self.encoder}": every ejector needs `distance_{unit}`')
            if self.encoder == "time" and ejector.pulse_counts is not None:
                raise ValueError('encoder = "time": use `pulse_ms`, not `pulse_counts`')

    @property
    def window(self) -> float:
        """Counts, or ms with `encoder = "time"`."""
        return (self.window_ms if self.encoder == "time" else self.window_counts) or 0

    @property
    def sensor(self) -> float | None:
        """Counts, or ms with `encoder = "time"`."""
        return self.sensor_ms if self.encoder == "time" else self.sensor_counts

    def distance_of(self, ejector: EjectorSection) -> float:
        """Counts, or ms with `encoder = "time"`."""
        return (ejector.distance_ms if self.encoder == "time" else ejector.distance_counts) or 0

    def reads_encoder_of(self, camera: str, first: str) -> bool:
        """The encoder is wired to this camera; `first`: the camera that an empty name stands for."""
        return self.by == "station" and self.encoder == "camera" and (self.encoder_camera or first) == camera

    def drives_lines_of(self, camera: str, first: str) -> bool:
        """An ejector hangs on an output line of this camera."""
        return self.by == "station" and any(
            ejector.output == "camera" and (ejector.camera or first) == camera for ejector in self.ejectors
        )

    def verdicts_of(self, ejector: EjectorSection) -> frozenset[Verdict]:
        return frozenset(Verdict[name] for name in ejector.verdicts)


def reject_text(reject: RejectSection) -> str:
    """The active settings, for people."""
    if reject.by == "plc":
        return "the PLC tracks and pushes"
    unit = "ms" if reject.encoder == "time" else "counts"
    texts = [f"the station pushes, encoder: {reject.encoder}, window {reject.window:g} {unit}"]
    if reject.sensor is not None:
        texts.append(f"sensor at {reject.sensor:g} {unit}")
    for number, ejector in enumerate(reject.ejectors, start=1):
        pulse = f"{ejector.pulse_ms:g} ms" if ejector.pulse_ms is not None else f"{ejector.pulse_counts} counts"
        takes = [*ejector.verdicts, *(ReasonCode(reason).name for reason in ejector.reasons)]
        if number == len(reject.ejectors):
            takes = ["all that are not PASS and still there"]
        confirmed = f", confirmed within {ejector.confirm_ms:g} ms" if ejector.confirm_ms is not None else ""
        texts.append(
            f"ejector {number} ({ejector.output}) at {reject.distance_of(ejector):g} {unit}, pulse {pulse}, "
            f"lead {ejector.lead_ms:g} ms{confirmed}: {', '.join(takes) or 'nothing'}"
        )
    return "; ".join(texts)
