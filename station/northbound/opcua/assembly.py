"""Builds the vision system from the configuration. Nothing else of the station loads its libraries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import structlog

from drivers.opcua.certificates import CertificateError, check_own, trusted
from drivers.opcua.server import Reply, ServerError, Settings, VisionServer
from drivers.opcua.sessions import Caller, Door
from station import __version__
from station.access.accounts_schema import AccountError
from station.access.proving import roles_of
from station.configuration.load import LoadedConfiguration
from station.configuration.recipes import folder_of
from station.control import ControlError, request
from station.forwarding.progress import Cursors, forwarding_beside
from station.northbound.opcua import queries, values, vision
from station.northbound.opcua.connector import Connector
from station.northbound.opcua.queries import Places, Queries
from station.northbound.opcua.states import RECIPE_METHODS
from station.northbound.opcua.vision import Vision, Ways
from station.northbound.unsent import Source

log = structlog.get_logger()

STATUS_TIMEOUT_S, COMMAND_TIMEOUT_S = 1.0, 30.0
FOLDER = "opcua"


def application_uri(station: LoadedConfiguration) -> str:
    """Of this station, for good: it stands in its certificate."""
    return f"urn:edge-inspection-station:{quote(station.settings.station.name, safe='')}"


def folder_beside(station: LoadedConfiguration) -> Any:
    """Of the certificates."""
    return forwarding_beside(station.records_dir).parent / FOLDER


def settings_of(station: LoadedConfiguration) -> Settings:
    """How the server is set up."""
    section = station.settings.opcua
    commands = {"none": frozenset[str](), "recipe": RECIPE_METHODS, "all": vision.METHODS}[section.commands]
    return Settings(
        host=section.host,
        port=section.port,
        name=station.settings.station.name,
        version=__version__,
        application_uri=application_uri(station),
        hosts=(section.host, *section.certificate_hosts),
        folder=folder_beside(station),
        policies=tuple(section.policies),
        commands=commands,
        plain=(*values.LINE, *values.PART),
        structures=values.STRUCTURES,
        readable=queries.METHODS,
    )


def door_of(station: LoadedConfiguration) -> Door:
    """Who may come in: people with an account, and whoever else the configuration lets in."""
    section = station.settings.opcua

    def sign_in(name: str, password: str, address: str) -> tuple[str, ...] | None:
        try:
            return roles_of(station.accounts_dir, name, password, f"opcua {address}")
        except AccountError as problem:
            log.error("nobody can sign in over OPC UA", problem=str(problem))
            return None

    def refused(who: str, why: str) -> None:
        log.warning("opcua client refused", client=who, why=why)

    return Door(folder_beside(station), section.allow_none, section.allow_anonymous, sign_in, refused)


def connector_of(station: LoadedConfiguration, source: Source, cursors: Cursors) -> Connector:
    """The server listens from here on. Raises ServerError, CertificateError."""
    section = station.settings.opcua

    def ask(message: Mapping[str, Any], timeout_s: float = COMMAND_TIMEOUT_S) -> Mapping[str, Any]:
        return request(station.control_socket, message, timeout_s)

    def status() -> Mapping[str, Any] | None:
        try:
            reply: Mapping[str, Any] = ask({"command": "status"}, STATUS_TIMEOUT_S)["status"]
        except (ControlError, ValueError, KeyError):
            return None
        return reply

    def active() -> tuple[str, str, str]:
        now = status() or {}
        names = ("recipe", "recipe_checksum", "config_checksum")
        recipe, recipe_checksum, checksum = (str(now.get(name, "")) for name in names)
        return recipe, recipe_checksum, checksum

    def call(method: str, given: Mapping[str, Any], who: Caller) -> Reply:
        if method in queries.METHODS:
            return reading.call(method, given)
        return shown.call(method, given, who)

    server = VisionServer(settings_of(station), door_of(station), call)
    places = Places(station.records_dir, folder_of(station.path), station.path)
    reading = Queries(places, server, active)
    ways = Ways(status, ask, server)
    shown = Vision(ways, has_plc=station.settings.plc.role != "off", allowed=section.commands)
    server.start()
    return Connector(source, cursors, server, shown, status, primary_client=section.primary_client)


def certificates_found(station: LoadedConfiguration) -> str:
    """What is there, for people. Raises CertificateError: the own one, or one of those that are trusted, is no good."""
    folder = folder_beside(station)
    clients = trusted(folder / "trusted")
    if not (folder / "own").exists():
        return f"its certificate is made at the first start; {len(clients)} clients are trusted"
    own = check_own(folder, application_uri(station))
    return f"its certificate is good until {own.not_valid_after_utc.date()}; {len(clients)} clients are trusted"


__all__ = ["CertificateError", "ServerError", "certificates_found", "connector_of"]
