"""A vision system with records on disk, a daemon whose condition is the real one, and no pages."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from drivers.opcua.server import Reply, Settings, VisionServer
from drivers.opcua.sessions import Caller, Door
from station.access.people import on_behalf_of
from station.codes import ErrorCode, OfflineReason, WarningCode
from station.control import ControlError
from station.forwarding.progress import Cursors, forwarding_beside
from station.line.acquisition.messages import CameraChanged, CameraState
from station.line.signalling.condition import Condition
from station.northbound.opcua import queries, values, vision
from station.northbound.opcua.connector import Connector
from station.northbound.opcua.queries import Places, Queries
from station.northbound.opcua.vision import Vision, Ways
from station.northbound.unsent import Source
from tests.bench.ports import free_port

PASSWORD = "correct horse"
PEOPLE = {"anna": ("operator",), "quinn": ("quality",), "vera": ("viewer",)}
READY = {"recipe": "flange", "recipe_checksum": "ab" * 32, "config_checksum": "cd" * 32, "session": "s1"}


class Daemon:
    """What the control socket would say and do: the condition of the line, and who may ask."""

    def __init__(self) -> None:
        self.condition = Condition(["top"], lambda *_: None, line_triggered=False)
        self.condition.camera_changed(CameraChanged("top", CameraState.STREAMING, None, ""))
        self.condition.engine_is(True)
        self.condition.set_online(True, OfflineReason.BY_OPERATOR)
        self.enabled = True
        self.silent = False
        self.asked: list[tuple[str, str]] = []
        """Command and person."""
        self.refuses = ""
        self.recipe = "flange"

    def status(self) -> Mapping[str, Any] | None:
        if self.silent:
            return None
        condition = self.condition
        return {
            **READY, "recipe": self.recipe, "state": condition.state(enabled=self.enabled).name.lower(),
            "online": condition.may_signal, "ready": condition.takes_parts, "trigger_enable": self.enabled,
            "offline_reason": condition.why_offline.name, "offline_code": condition.why_offline.value,
            "error_code": condition.fault.value, "error": condition.fault_detail,
            "warning_codes": [code.value for code in condition.warnings], "engine_id": "e" * 64,
            "counters": {"triggers": 7, "passed": 5},
        }  # fmt: skip

    def request(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        person = on_behalf_of(message)
        assert person is not None
        assert person.may(message), "the vision system asks for nobody who may not"
        command = message["command"]
        self.asked.append((command, person.name))
        if self.refuses:
            raise ControlError(self.refuses)
        match command:
            case "online" | "offline":
                self.condition.set_online(command == "online", OfflineReason.BY_OPERATOR)
            case "clear":
                self.condition.clear_fault()
            case "recipe":
                self.recipe = message["recipe"]
                return {"recipe": self.recipe, "recipe_checksum": "ef" * 32}
        return {}

    def fault(self) -> None:
        self.condition.raise_fault(ErrorCode.BIN_FULL, "bin 1")

    def warn(self, active: bool) -> None:
        self.condition.warn(WarningCode.LATE_RESULT, active)


class Bench:
    """One station. `start` and `kill` are those of the plant process."""

    def __init__(self, folder: Path, **fields: Any) -> None:
        self.folder = folder
        self.records = folder / "records"
        self.file = forwarding_beside(self.records)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.certificates = self.file.parent / "opcua"
        self.port = free_port()
        self.daemon = Daemon()
        self.fields: dict[str, Any] = {
            "commands": "all",
            "has_plc": False,
            "anonymous": True,
            "none": False,
            "primary": "",
        } | fields
        self.refused: list[tuple[str, str]] = []
        (folder / "station.toml").write_text("")
        (folder / "recipes").mkdir(exist_ok=True)
        self.start()

    def trust(self, der: bytes, name: str = "client") -> None:
        place = self.certificates / "trusted"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{name}.der").write_bytes(der)

    def start(self) -> None:
        fields, daemon = self.fields, self.daemon
        commands = {"none": frozenset[str](), "recipe": frozenset({"PrepareRecipe"}), "all": vision.METHODS}
        settings = Settings(
            host="127.0.0.1", port=self.port, name="ST-04", version="1.0", hosts=("127.0.0.1", "localhost"),
            application_uri="urn:edge-inspection-station:ST-04", folder=self.certificates,
            policies=("Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"),
            commands=commands[fields["commands"]], plain=(*values.LINE, *values.PART), structures=values.STRUCTURES,
            readable=queries.METHODS,
        )  # fmt: skip
        door = Door(
            self.certificates, fields["none"], fields["anonymous"],
            lambda name, password, _: PEOPLE.get(name) if password == PASSWORD else None,
            lambda who, why: self.refused.append((who, why)),
        )  # fmt: skip
        self.server = VisionServer(settings, door, self._call)
        self.cursors = Cursors(self.file)
        self.vision = Vision(
            Ways(daemon.status, daemon.request, self.server), has_plc=fields["has_plc"], allowed=fields["commands"]
        )
        places = Places(self.records, self.folder / "recipes", self.folder / "station.toml")
        self.queries = Queries(places, self.server, lambda: (daemon.recipe, "ab" * 32, "cd" * 32))
        self.server.start()
        source = Source("opcua", self.records, waits_for_plc=False)
        self.connector = Connector(
            source, self.cursors, self.server, self.vision, daemon.status, primary_client=fields["primary"]
        )
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _call(self, method: str, given: Mapping[str, Any], who: Caller) -> Reply:
        if method in queries.METHODS:
            return self.queries.call(method, given)
        return self.vision.call(method, given, who)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._stopping.wait(self.connector.step())

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()
        self.connector.close()
        self.cursors.close()

    @property
    def at(self) -> int:
        progress = self.cursors.of("opcua")
        return -1 if progress is None else progress.cursor.last_id

    def look(self) -> None:
        """The connector sees the daemon at once."""
        self.vision.follow(self.daemon.status())


@contextmanager
def bench(folder: Path, **fields: Any) -> Iterator[Bench]:
    opened = Bench(folder, **fields)
    try:
        yield opened
    finally:
        opened.close()
