"""Builds tracking and the ejection stage from `[reject]`."""

from __future__ import annotations

from collections.abc import Callable

from station.codes import ErrorCode, ReasonCode
from station.configuration.load import LoadedConfiguration
from station.line.ejection.belt import ClockBelt, EncoderBelt
from station.line.ejection.belt_memory import BeltMemory
from station.line.ejection.messages import Ejector, TrackingSettings
from station.line.ejection.stage import EjectionPorts, EjectionStage
from station.line.ejection.tracker import Tracker
from station.records.ejections import Ejection
from station.records.events import RecordEvent

NS_PER_MS = 1_000_000


def tracking_settings(configuration: LoadedConfiguration) -> TrackingSettings:
    """The way from camera to bins; only for `[reject] by = "station"`."""
    reject = configuration.settings.reject
    unit = NS_PER_MS if reject.encoder == "time" else 1
    ejectors = tuple(
        Ejector(
            distance=reject.distance_of(ejector) * unit,
            pulse=ejector.pulse_counts,
            pulse_ns=None if ejector.pulse_ms is None else round(ejector.pulse_ms * NS_PER_MS),
            lead_ns=round(ejector.lead_ms * NS_PER_MS),
            verdicts=reject.verdicts_of(ejector),
            reasons=frozenset(map(ReasonCode, ejector.reasons)),
            confirm_ns=None if ejector.confirm_ms is None else round(ejector.confirm_ms * NS_PER_MS),
        )
        for ejector in reject.ejectors
    )
    sensor = None if reject.sensor is None else reject.sensor * unit
    return TrackingSettings(reject.window * unit, ejectors, sensor)


def ejection_stage(
    configuration: LoadedConfiguration,
    memory: BeltMemory,
    *,
    show: Callable[[tuple[bool, ...], int], None],
    set_output: Callable[[str, str, bool], None],
    record: Callable[[Ejection], None],
    event: RecordEvent,
    fault: Callable[[ErrorCode, str], None],
) -> EjectionStage:
    """Tracking in the station; only for `[reject] by = "station"`. `set_output`: camera, line, level."""
    reject = configuration.settings.reject
    lines = {
        number: (ejector.camera or configuration.settings.lead_name, ejector.line)
        for number, ejector in enumerate(reject.ejectors, start=1)
        if ejector.output == "camera"
    }

    def set_line(number: int, on: bool) -> None:
        if number in lines:
            set_output(*lines[number], on)

    settings = tracking_settings(configuration)
    encoder = None if reject.encoder == "time" else EncoderBelt(jump_counts=settings.longest_step)
    return EjectionStage(
        Tracker(settings, ClockBelt() if encoder is None else encoder),
        EjectionPorts(show, set_line, record, event, fault, on_belt=memory.write),
        encoder=encoder,
        encoder_from=reject.encoder,
        left_on_belt=memory.parts,
    )
