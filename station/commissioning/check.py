"""Looks at configuration, cameras, PLC link, engine and disk, and reports everything at once: `station check`."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path

from drivers.camera.open import open_camera
from drivers.camera.protocol import CameraError
from drivers.plc.protocol import PlcError
from engines.errors import EngineError, PlanUnusable, SignatureError
from station.commissioning.pages_check import pages_finding
from station.commissioning.plant_check import (
    Finding,
    channel_findings,
    images_findings,
    opcua_findings,
    postgres_findings,
    sparkplug_findings,
    webhook_finding,
)
from station.commissioning.plant_user_check import plant_user_finding
from station.configuration.load import LoadedConfiguration
from station.configuration.reject import reject_text
from station.configuration.runtime_folder import is_in_memory, make_runtime_folder
from station.configuration.section import did_you_mean
from station.control import ControlError, check_socket_path, request
from station.daemon import assembly
from station.jobs.engine_questions import open_question
from station.line.inspection.limits import LimitsError
from station.line.inspection.loading import load_inspector
from station.records.schema import DATABASE_FILE, SCHEMA_VERSION, RecordingError, usable_schema

MB = 1024 * 1024


def check(configuration: LoadedConfiguration) -> Iterator[Finding]:
    """Looks at everything the daemon needs; goes on after a failure."""
    recipe = configuration.recipe
    of_recipe = f", recipe {recipe.name} {recipe.checksum[:8]}" if recipe else ""
    yield Finding("configuration", True, f"checksum {configuration.checksum[:8]}{of_recipe}")
    yield Finding("reject", True, reject_text(configuration.settings.reject))
    running = _running(configuration)
    if running:
        yield Finding("station", True, "runs now: camera and PLC port are in its hands and are not tried")
        shapes: dict[str, tuple[int, ...]] = {}
    else:
        shapes = yield from _cameras(configuration)
        yield _plc(configuration)
    yield _engine(configuration, shapes)
    if configuration.trust.required != "no":
        yield _trusted_keys(configuration)
    yield _disk(configuration)
    yield _records(configuration)
    yield _runtime_folder(configuration)
    yield _control_socket(configuration)
    yield pages_finding(configuration)
    if (of_plant := plant_user_finding(configuration)) is not None:
        yield of_plant
    if configuration.settings.webhook.url is not None:
        yield webhook_finding(configuration)
    yield from sparkplug_findings(configuration)
    yield from opcua_findings(configuration)
    yield from postgres_findings(configuration)
    yield from images_findings(configuration)
    yield from channel_findings(configuration)


def _running(configuration: LoadedConfiguration) -> bool:
    try:
        request(configuration.control_socket, {"command": "status"}, 2.0)
    except ControlError:
        return False
    return True


def _cameras(configuration: LoadedConfiguration) -> Generator[Finding, None, dict[str, tuple[int, ...]]]:
    """One finding per camera; returns the shapes of their frames, as far as they can be opened."""
    shapes = {}
    for name in configuration.settings.cameras:
        try:
            with open_camera(assembly.camera_settings(configuration, name)) as camera:
                info = camera.info
        except CameraError as problem:
            yield Finding(f"camera {name}", False, str(problem))
            continue
        shapes[name] = info.shape
        found = f"{info.vendor} {info.model} {info.serial_number}, {info.width} x {info.height} {info.pixel_format}"
        found += f": {info.about}" if info.about else ""
        yield Finding(f"camera {name}", True, found)
    return shapes


def _plc(configuration: LoadedConfiguration) -> Finding:
    try:
        return Finding("PLC", True, assembly.check_plc(configuration))
    except PlcError as problem:
        return Finding("PLC", False, str(problem))


def _engine(configuration: LoadedConfiguration, shapes: Mapping[str, tuple[int, ...]]) -> Finding:
    try:
        path = configuration.engine_path
        inspector = load_inspector(path, configuration.settings, shapes, trust=configuration.trust)
    except PlanUnusable as problem:
        builds = configuration.settings.engine.missing_plan == "build" and problem.rebuilding_helps
        return Finding("engine", builds, f"{problem}" + ("; or the next start builds it" if builds else ""))
    except (EngineError, LimitsError) as problem:
        return Finding("engine", False, str(problem))
    if inspector is None:
        return _no_engine(configuration, path)
    inspector.scorer.close()
    if asked := open_question(configuration):
        return Finding("engine", False, f"not used before somebody has decided: {asked}")
    limits = inspector.default.limits
    scores = f"review above {limits.review_score:.3g}, reject above {limits.reject_score:.3g} on the scale from 0 to 1"
    found = f"{inspector.engine_id[:12]}, golden images agree; {scores}; runtime {inspector.runtime}"
    return Finding("engine", True, found)


def _trusted_keys(configuration: LoadedConfiguration) -> Finding:
    trust = configuration.trust
    asked = f'[engine] require_signature = "{trust.required}"'
    try:
        keys = trust.keys()
    except SignatureError as problem:
        return Finding("trusted keys", False, str(problem))
    if not keys:
        return Finding("trusted keys", False, f"{asked}, and {trust.folder} holds no key: NAME.pub of minisign -G")
    named = ", ".join(f"{key_id} ({name})" for key_id, (name, _) in keys.items())
    return Finding("trusted keys", True, f"{asked}: {named}")


def _no_engine(configuration: LoadedConfiguration, path: Path | None) -> Finding:
    """A first start has no engine yet; a path that was mistyped has none either."""
    waits = "the station will wait for teaching and pass nothing"
    if path is None:
        return Finding("engine", True, f"none: neither engine.path nor engine.store is set; {waits}")
    store = configuration.engine_store
    place = path if store is None else store.parent
    if not place.exists():
        beside = [other.name for other in place.parent.iterdir()] if place.parent.is_dir() else []
        if not place.parent.is_dir():
            return Finding("engine", False, f"{place}: neither it nor {place.parent} is there; is the path right?")
        if meant := did_you_mean(place.name, beside):
            return Finding("engine", False, f"{place} is not there{meant}; if it is right, make the folder")
    elif store is not None and (others := sorted(other.name for other in place.iterdir() if other.is_dir())):
        meant = did_you_mean(store.name, others)
        found = f'{place} has no active engine of product "{store.name}"{meant}; there are: {", ".join(others)}'
        return Finding("engine", not meant or store.name in others, f"none: {found}; {waits}")
    return Finding("engine", True, f"none: {path} is not there yet; {waits}")


def _disk(configuration: LoadedConfiguration) -> Finding:
    work_dir, records = configuration.work_dir, configuration.settings.records
    try:
        work_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=work_dir) as probe:
            probe.write(bytes(MB))
            probe.flush()
            os.fsync(probe.fileno())
        usage = shutil.disk_usage(work_dir)
    except OSError as problem:
        return Finding("disk", False, f"{work_dir} cannot be written: {problem.strerror}")
    free_mb, total_mb = usage.free // MB, usage.total // MB
    if free_mb < records.min_free_mb:
        return Finding("disk", False, f"{work_dir}: {free_mb} MB free, records.min_free_mb = {records.min_free_mb}")
    if records.disk_budget_mb + records.min_free_mb > total_mb:
        budget = f"records.disk_budget_mb = {records.disk_budget_mb} and min_free_mb = {records.min_free_mb}"
        return Finding("disk", False, f"{work_dir}: {budget} do not fit on this disk of {total_mb} MB")
    found = f"{work_dir}: {free_mb} MB free, images use at most {records.disk_budget_mb} MB"
    return Finding("disk", True, found)


def _records(configuration: LoadedConfiguration) -> Finding:
    folder = configuration.records_dir
    if not (folder / DATABASE_FILE).exists():
        return Finding("records", True, f"none in {folder} yet; the first start makes them")
    try:
        schema = usable_schema(folder)
    except RecordingError as problem:
        return Finding("records", False, str(problem))
    if schema == SCHEMA_VERSION:
        return Finding("records", True, f"{folder}, schema {schema}")
    found = f"{folder}, schema {schema}: the next start makes it {SCHEMA_VERSION}, which older software does not read; "
    return Finding("records", True, found + "make a backup first: station backup")


def _control_socket(configuration: LoadedConfiguration) -> Finding:
    try:
        check_socket_path(configuration.control_socket)
    except ControlError as problem:
        return Finding("control socket", False, str(problem))
    return Finding("control socket", True, str(configuration.control_socket))


def _runtime_folder(configuration: LoadedConfiguration) -> Finding:
    folder = configuration.runtime_dir
    try:
        make_runtime_folder(folder)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as problem:
        return Finding(
            "open parts", False, f"{folder} cannot be written: {problem.strerror}; check [station] runtime_dir"
        )
    by_systemd = "" if configuration.settings.station.runtime_dir else "; under systemd its RuntimeDirectory"
    if is_in_memory(folder):
        return Finding("open parts", True, f"{folder}, in memory{by_systemd}")
    found = f"{folder} lies on a disk: while it stands still, so do signals; set [station] runtime_dir to a tmpfs"
    return Finding("open parts", True, found + by_systemd)
