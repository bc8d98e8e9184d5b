"""The sections of station.toml for what is sent to the plant: results by webhook, and how long they wait."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from station.configuration.northbound.addresses import is_loopback
from station.configuration.section import Section

MAX_BATCH = 500
MAX_HOST_NAME = 253
MAX_TOPIC_NAME = 128
"""Bytes of an id of Sparkplug."""


class PlantSection(Section):
    """What `station plant run` sends to the plant, a process of its own. The line needs none of it."""

    keep_unsent_days: int = Field(
        7,
        ge=0,
        le=365,
        description="Rows that were not sent yet stay for this time, whatever `keep_rows_days` says; "
        "`rows_budget_mb` goes first. An event says how many were deleted unsent.",
    )


class WebhookSection(Section):
    """Results by HTTP: each part as a CloudEvents message with a signature, stored and forwarded."""

    url: str | None = Field(None, description="Where each result is sent by POST. Unset: nowhere. https, or loopback.")
    secret_file: Path | None = Field(
        None,
        strict=False,
        description="File with the secret that signs: one line `whsec_` and base64 of 24 to 64 bytes; two lines while "
        "the receiver changes to a new one.",
    )
    ca_file: Path | None = Field(
        None, strict=False, description="File (PEM) of the authority of the receiver. Unset: those of this computer."
    )
    timeout_s: float = Field(10.0, ge=0.5, le=120, description="Longest time of one request, from connect to reply.")
    batch: int = Field(
        1, ge=1, le=MAX_BATCH, description="Most parts of one request. More than 1: always a list, CloudEvents batch."
    )

    audit_heads: bool = Field(
        True,
        description="Also send the head of the audit log when it has changed, as an event of its own: whoever writes "
        "that log anew cannot take it back.",
    )

    @field_validator("url")
    @classmethod
    def _usable(cls, url: str | None) -> str | None:
        return None if url is None else checked_url(url)

    @model_validator(mode="after")
    def _signed(self) -> WebhookSection:
        if self.url is not None and self.secret_file is None:
            raise ValueError(
                "url without secret_file: the receiver could not know who sends; make one: "
                "(umask 027; echo whsec_$(openssl rand -base64 32) > webhook.secret)"
            )
        return self


class SparkplugSection(Section):
    """Sparkplug B 3.0 over MQTT: the station as an edge node, its line as the device behind it."""

    brokers: list[str] = Field(
        [],
        max_length=8,
        description="mqtts://HOST:PORT each; the next is tried where one is away. Unset: nothing is sent.",
    )
    group: str = Field("", description="Group id. Needed with `brokers`.")
    node: str = Field("", description="Edge node id, once in the whole group. Unset: the name of the station.")
    line: str = Field("line", description="Device id of the line.")
    primary_host: str = Field(
        "",
        description="Host id without which nothing is sent: what it could not hear comes when it is back. Unset: none.",
    )
    host_timeout_s: float = Field(
        30.0,
        ge=0,
        le=600,
        description="How long it takes to be seen that the primary host is gone: parts of this time are sent again.",
    )
    every_part: bool = Field(False, description="Every part is published. Else those that are PASS are only counted.")
    user: str = Field("", description="User at the broker.")
    password_file: Path | None = Field(None, strict=False, description="File with the password of `user`, one line.")
    ca_file: Path | None = Field(
        None, strict=False, description="File (PEM) of the authority of the broker. Unset: those of this computer."
    )
    certificate_file: Path | None = Field(
        None, strict=False, description="File (PEM) with the station's own certificate, where the broker asks for one."
    )
    key_file: Path | None = Field(None, strict=False, description="File (PEM) with the key of `certificate_file`.")
    unencrypted: bool = Field(False, description="mqtt:// to another computer is meant so: results go in clear.")

    @field_validator("brokers")
    @classmethod
    def _usable(cls, brokers: list[str]) -> list[str]:
        for address in brokers:
            broker_at(address)
        return brokers

    @model_validator(mode="after")
    def _whole(self) -> SparkplugSection:
        if not self.brokers:
            return self
        if not self.group:
            raise ValueError("brokers without group: hosts find a station by group and node")
        for what in (
            "group",
            "line",
            *(["node"] if self.node else []),
            *(["primary_host"] if self.primary_host else []),
        ):
            check_topic_name(what, getattr(self, what))
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file belong together: give both, or none")
        if bool(self.user) != (self.password_file is not None):
            raise ValueError("user and password_file belong together: give both, or none")
        for address in self.brokers:
            host, _, encrypted = broker_at(address)
            if not (encrypted or self.unencrypted or is_loopback(host)):
                raise ValueError(
                    f'"{address}" would send results and password in clear: give mqtts://, or unencrypted = true'
                )
        return self


class OpcUaSection(Section):
    """OPC UA for Machine Vision (OPC 40100-1): the station as a vision system, a server that clients connect to."""

    enabled: bool = Field(False, description="The plant process listens for clients.")
    host: str = Field("127.0.0.1", description="Address on which it listens: this computer alone. 0.0.0.0: everywhere.")
    port: int = Field(4840, ge=1, le=65535, description="Port on which it listens.")
    certificate_hosts: list[str] = Field(
        [],
        max_length=16,
        description="Names and addresses by which clients reach it, beside `host`. They stand in the certificate that "
        "is made at the first start.",
    )
    policies: list[Literal["Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"]] = Field(
        ["Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"],
        min_length=1,
        description="Security policies, each signing and encrypting.",
    )
    allow_none: bool = Field(False, description="Clients may connect without signature and encryption.")
    allow_anonymous: bool = Field(False, description="Clients without an account may read. They may never command.")
    commands: Literal["none", "recipe", "all"] = Field(
        "none",
        description="Methods that people with an account may call: none, PrepareRecipe alone, all. Refused while the "
        "PLC holds control.",
    )
    primary_client: str = Field(
        "",
        description="Application URI of the client that must get every result: parts wait for it. Unset: any client.",
    )

    @model_validator(mode="after")
    def _whole(self) -> OpcUaSection:
        if not self.host.strip() or any(letter.isspace() or not letter.isprintable() for letter in self.host):
            raise ValueError(f"host = {self.host!r}: an address or name of this computer")
        for host in self.certificate_hosts:
            if not (host.isascii() and host.isprintable() and 0 < len(host) <= MAX_HOST_NAME and " " not in host):
                raise ValueError(f"certificate_hosts: {host!r} is no name or address of a computer")
        if self.commands != "none" and self.allow_none and not is_loopback(self.host):
            raise ValueError(
                f'commands = "{self.commands}" with allow_none: passwords and commands would travel in clear; set '
                "allow_none = false"
            )
        return self


def broker_at(address: str) -> tuple[str, int, bool]:
    """Host, port, and whether it is encrypted. Raises ValueError."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError as problem:
        raise ValueError(f'"{address}": {problem}; give mqtts://HOST:PORT') from problem
    if parts.scheme not in ("mqtts", "mqtt") or not host or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(f'"{address}": give mqtts://HOST:PORT')
    if parts.username is not None or parts.password is not None:
        raise ValueError(f'"mqtts://...@{host}": no name and password in the address; user and password_file have them')
    encrypted = parts.scheme == "mqtts"
    return host, port or (8883 if encrypted else 1883), encrypted


def check_topic_name(what: str, name: str) -> None:
    """Raises ValueError: it cannot stand in a topic of MQTT."""
    if not name or len(name.encode()) > MAX_TOPIC_NAME:
        raise ValueError(f'{what} = "{name}" has {len(name.encode())} bytes; allowed are 1 to {MAX_TOPIC_NAME}')
    if bad := sorted({letter for letter in name if letter in "+/#" or not letter.isprintable()}):
        raise ValueError(f"{what} = {name!r} has {' '.join(map(repr, bad))}, which a topic does not allow")


def checked_url(url: str) -> str:
    """The same address. Raises ValueError: no https, or something in it that does not belong there."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as problem:
        raise ValueError(f"no address: {problem}; give https://HOST/PATH") from problem
    if not (url.isascii() and url.isprintable()) or " " in url:
        raise ValueError("an address has no spaces and no letters beyond ASCII; write them as %20")
    if parts.scheme not in ("https", "http") or not host:
        raise ValueError("no address: give https://HOST/PATH")
    if parts.username is not None or parts.password is not None:
        raise ValueError("no name and password in the address: the signature says who sends")
    if parts.fragment:
        raise ValueError(f"#{parts.fragment} is never sent; remove it")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError("http would go over the network in clear: give https, or an address of this computer")
    return url
