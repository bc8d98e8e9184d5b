"""The settings of every stage from the configuration, and the choice of drivers: nothing else picks implementations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import time

import structlog

import station
from drivers.camera.producer import producer_from_name
from drivers.camera.settings import CameraSettings
from drivers.plc.absent import NoPlc
from drivers.plc.modbus import (
    Identification,
    ModbusClientLink,
    ModbusClientSettings,
    ModbusRtuServerLink,
    ModbusRtuServerSettings,
    ModbusServerSettings,
    ModbusTcpServerLink,
    SerialLine,
    TcpAddress,
)
from drivers.plc.protocol import OnInputs, OnLinkEvent, PlcLink
from drivers.plc.signal_map import Layout
from engines.runtimes.tensorrt.nvml import ThermalMonitor
from engines.runtimes.tensorrt.probe import NoGpu, probe
from station.access.rights import OF_PLANT
from station.access.roles import RoleGroups
from station.codes import ReasonCode
from station.configuration.load import LoadedConfiguration
from station.configuration.plc import PlcSection
from station.daemon.gpu_watch import GpuWatch
from station.jobs.beside.refresh_on_drift import ON_DRIFT, RefreshOnDrift
from station.jobs.beside.trend_watch import TrendWatch
from station.jobs.beside.virtual_challenge import VIRTUAL, VirtualChallenge, VirtualChallenges
from station.jobs.refresh_process import RefreshProcess
from station.jobs.teaching_from_line import COLLECTED_FOLDER
from station.labels.classes import class_numbers
from station.labels.schema import LabelError, labels_beside
from station.line.acquisition.cameras import CameraSetup
from station.line.challenge.machine import ChallengeSettings
from station.line.ejection.belt import EncoderBelt
from station.line.handshake.messages import HandshakeSettings
from station.line.inspection.inspector import Inspector
from station.line.recording.stage import RecorderSettings
from station.line.signalling.ledger import LedgerSettings
from station.line.signalling.messages import Warn
from station.line.signalling.view_matching import ViewSettings
from station.monitoring.memory import FILE as MONITORING_FILE
from station.monitoring.stage import Monitoring, MonitoringSettings
from station.monitoring.watch import WatchSettings
from station.records.challenge_runs import MasterPart
from station.records.events import RecordEvent
from station.results import Verdict

log = structlog.get_logger()


def cameras(configuration: LoadedConfiguration) -> dict[str, CameraSetup]:
    """What each camera is set to and how it is kept connected. Raises ProducerError for an unknown short name."""
    return {
        name: CameraSetup(
            camera_settings(configuration, name),
            ring_slots=camera.ring_slots,
            reconnect_min_s=camera.reconnect_min_s,
            reconnect_max_s=camera.reconnect_max_s,
        )
        for name, camera in configuration.settings.cameras.items()
    }


def camera_settings(configuration: LoadedConfiguration, name: str) -> CameraSettings:
    """The settings of a camera as its driver takes them. Raises ProducerError for an unknown short name."""
    settings = configuration.settings
    camera = settings.cameras[name]
    reject = settings.reject
    return CameraSettings(
        driver=camera.driver,
        trigger="line" if camera.trigger == "line" else "software",
        producer=producer_from_name(camera.producer, configuration.path.parent) if camera.producer else None,
        serial_number=camera.serial_number,
        trigger_line=camera.trigger_line,
        trigger_activation=camera.trigger_activation,
        pixel_format=camera.pixel_format or None,
        significant_bits=camera.significant_bits,
        depth=None if camera.depth is None else camera.depth.settings,
        width=camera.width,
        height=camera.height,
        exposure_time_us=camera.exposure_time_us,
        gain_db=camera.gain_db,
        features=camera.features,
        encoder_feature=reject.encoder_feature if reject.reads_encoder_of(name, settings.lead_name) else "",
        prompt=reject.drives_lines_of(name, settings.lead_name),
        folder=configuration.resolve(camera.folder) if camera.folder else None,
    )


def plc_link(configuration: LoadedConfiguration, on_inputs: OnInputs, on_link_event: OnLinkEvent) -> PlcLink:
    """The link to the PLC; opened by its `__enter__`, which raises PlcError."""
    plc = configuration.settings.plc
    match plc.role, plc.transport:
        case "server", "tcp":
            listening = ModbusServerSettings(
                plc.host,
                plc.port,
                plc.unit_id,
                writers=tuple(plc.writers),
                one_writer_per_address=plc.one_writer == "address",
                layout=_layout(plc),
                identification=_identification(configuration),
            )
            return ModbusTcpServerLink(listening, on_inputs, on_link_event)
        case "server", "rtu":
            device = ModbusRtuServerSettings(
                _serial_line(plc), plc.unit_id, layout=_layout(plc), identification=_identification(configuration)
            )
            return ModbusRtuServerLink(device, on_inputs, on_link_event)
        case "client", _:
            return _plc_client(plc, on_inputs, on_link_event)
        case _:
            return NoPlc(on_inputs)


def _identification(configuration: LoadedConfiguration) -> Identification:
    return Identification(revision=station.__version__, user_name=configuration.settings.station.name)


def check_plc(configuration: LoadedConfiguration) -> str:
    """Tries the link to the PLC without writing anything; returns what it found. Raises PlcError."""
    plc = configuration.settings.plc
    where = f"{plc.host}:{plc.port}" if plc.transport == "tcp" else str(_serial_line(plc))
    if plc.role == "off":
        return "none configured"
    if plc.role == "client":
        _plc_client(plc, lambda _: None, lambda _: None).probe()
        return f"{where}, unit {plc.unit_id} responds: its control block can be read"
    with plc_link(configuration, lambda _: None, lambda _: None):
        return f"Modbus {plc.transport.upper()} can listen on {where}, unit {plc.unit_id}{_who_may_write(plc)}"


def _who_may_write(plc: PlcSection) -> str:
    """Advice where the network reaches the station and anybody on it could start parts; empty where not."""
    if plc.transport == "rtu" or plc.writers or plc.host in ("localhost", "::1") or plc.host.startswith("127."):
        return ""
    return "; advice: whoever reaches it may write, name the PLC in [plc] writers"


def _plc_client(plc: PlcSection, on_inputs: OnInputs, on_link_event: OnLinkEvent) -> ModbusClientLink:
    settings = ModbusClientSettings(
        _serial_line(plc) if plc.transport == "rtu" else TcpAddress(plc.host, plc.port),
        plc.unit_id,
        control_address=plc.control_address,
        status_address=plc.status_address,
        poll_period_s=plc.poll_period_ms / 1000,
        response_timeout_s=plc.response_timeout_ms / 1000,
        max_registers_per_write=plc.max_registers_per_write,
        layout=_layout(plc),
    )
    return ModbusClientLink(settings, on_inputs, on_link_event)


def _serial_line(plc: PlcSection) -> SerialLine:
    return SerialLine(plc.serial_port, plc.baud_rate, plc.parity[0].upper(), plc.stop_bits)


def _layout(plc: PlcSection) -> Layout:
    return Layout(
        high_word_first=plc.word_order == "high_first",
        low_byte_first=plc.byte_order == "low_first",
        base_address=plc.base_address,
        batches=plc.batches,
    )


def handshake_settings(configuration: LoadedConfiguration) -> HandshakeSettings:
    """Without a PLC there is no heartbeat to supervise."""
    plc = configuration.settings.plc
    return HandshakeSettings(
        plc_heartbeat_timeout_s=plc.heartbeat_timeout_s if plc.role != "off" else 0.0, batches=plc.batches
    )


def ledger_settings(configuration: LoadedConfiguration) -> LedgerSettings:
    """Deadlines and limits of a part's way."""
    station = configuration.settings.station
    return LedgerSettings(
        deadline_ms=station.deadline_ms,
        no_frame_ms=configuration.settings.lead_camera.no_frame_ms,
        max_parts_in_flight=station.max_parts_in_flight,
        errors_in_a_row_to_fault=station.errors_in_a_row_to_fault,
    )


def view_settings(configuration: LoadedConfiguration) -> list[ViewSettings]:
    """The cameras and their places along the belt, the first one first."""
    return [
        ViewSettings(
            camera=name,
            by_station=camera.trigger == "plc",
            after_ms=camera.after_ms,
            after_counts=camera.after_counts,
            tolerance_ms=camera.tolerance_ms,
            tolerance_counts=camera.tolerance_counts or 0,
            no_frame_ms=camera.no_frame_ms,
        )
        for name, camera in configuration.settings.cameras.items()
    ]


def belt_of_views(configuration: LoadedConfiguration) -> EncoderBelt | None:
    """Turns EncoderNow into positions where a camera is placed by counts; None where none is. A step as long as the way
    to the last camera is no movement.
    """
    furthest = max(camera.after_counts for camera in configuration.settings.cameras.values())
    return EncoderBelt(jump_counts=furthest) if furthest else None


def recorder_settings(configuration: LoadedConfiguration) -> RecorderSettings:
    """Where and how much is recorded."""
    records, plant = configuration.settings.records, configuration.settings.plant
    return RecorderSettings(
        directory=configuration.records_dir,
        pass_image_share=records.pass_image_share,
        disk_budget_mb=records.disk_budget_mb,
        min_free_mb=records.min_free_mb,
        keep_rows_days=records.keep_rows_days,
        rows_budget_mb=records.rows_budget_mb,
        keep_unsent_days=plant.keep_unsent_days if configuration.settings.sends_to_plant else None,
        queue_size=records.queue_size,
    )


def monitoring_settings(configuration: LoadedConfiguration) -> MonitoringSettings | None:
    """What is normal, and where what was learned is kept; None: nothing is watched."""
    section = configuration.settings.monitoring
    if not section.enabled:
        return None
    watch = WatchSettings(
        section.parts_per_hour, section.false_alarms_per_year, section.defect_share, section.not_inspected_share
    )
    file, records = configuration.work_dir / MONITORING_FILE, configuration.records_dir
    return MonitoringSettings(file, watch, section.rejects_in_a_row, records)


def monitoring(
    configuration: LoadedConfiguration, post: Callable[[Warn], None], event: RecordEvent
) -> Monitoring | None:
    """The watch, with what looks at the station beside it where that is wanted; None: nothing is watched."""
    settings = monitoring_settings(configuration)
    if settings is None:
        return None
    made = Monitoring(settings, post, event)
    section = configuration.settings.monitoring
    if section.trends_every_h:
        made.companions["trends"] = TrendWatch(configuration.records_dir, section.trends_every_h * 3600, post, event)

    def report(result: VirtualChallenge) -> None:
        made.virtual(result.recipe, result.engine_id, [one.found for one in result.defects])

    every_s = section.virtual_challenge_min * 60
    made.companions[VIRTUAL] = VirtualChallenges(configuration.path, every_s, report)
    return made


def refreshing(configuration: LoadedConfiguration, monitoring: Monitoring | None, event: RecordEvent) -> RefreshProcess:
    """Candidates on demand, and behind a drift that stands where that is wanted."""
    work = configuration.work_dir
    made = RefreshProcess(configuration.path, work / "refresh" / "asked", work / "teaching" / COLLECTED_FOLDER)
    after_s = configuration.settings.monitoring.refresh_after_drift_h * 3600
    if monitoring is not None and after_s:
        monitoring.companions[ON_DRIFT] = RefreshOnDrift(
            after_s, lambda: bool(monitoring.status["drift"]), made, work, event
        )
    return made


def with_class_numbers(inspector: Inspector | None, configuration: LoadedConfiguration) -> Inspector | None:
    """The inspector with what the PLC calls the kinds of its engine: the numbers of the classes of the review, as now.

    Labels that cannot be read take the numbers away and nothing else.
    """
    if inspector is None:
        return None
    try:
        return replace(inspector, class_numbers=class_numbers(labels_beside(configuration.records_dir)))
    except LabelError as problem:
        log.warning("the PLC reads no class of defects", problem=str(problem))
        return inspector


def challenge_settings(configuration: LoadedConfiguration) -> ChallengeSettings:
    """When a challenge test is due, and with which master parts."""
    section = configuration.settings.challenge
    return ChallengeSettings(
        parts=tuple(
            MasterPart(part.name, Verdict[part.expected.upper()], ReasonCode[part.reason] if part.reason else None)
            for part in section.parts
        ),
        every_s=section.every_h * 3600 if section.every_h is not None else None,
        shifts=tuple(time.fromisoformat(shift) for shift in section.shifts),
        every_parts=section.every_parts,
        on_recipe_change=section.on_recipe_change,
        part_ids=range(section.part_ids[0], section.part_ids[1] + 1) if section.part_ids else None,
        stops=section.interlock == "stop",
        grace_s=section.grace_min * 60,
        timeout_s=section.timeout_min * 60,
    )


def gpu_watch(configuration: LoadedConfiguration, post: Callable[[Warn], None]) -> GpuWatch | None:
    """Watches the GPU, where one may run the engine; None without."""
    if configuration.settings.engine.runtime not in ("auto", "tensorrt"):
        return None
    gpu = probe()
    return None if isinstance(gpu, NoGpu) else GpuWatch(ThermalMonitor(gpu.pci_bus_id), post)


def role_groups(configuration: LoadedConfiguration) -> RoleGroups:
    """Who may do what at the control socket."""
    access, opcua = configuration.settings.access, configuration.settings.opcua
    return RoleGroups(
        frozenset(access.operate),
        frozenset(access.maintain),
        access.pages_user,
        access.plant_user,
        OF_PLANT[opcua.commands if opcua.enabled else "none"],
    )
