"""The sections of station.toml for what many stations have in common: rows in PostgreSQL, images, the channel of
engines.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from station.configuration.northbound.addresses import is_loopback
from station.configuration.northbound.sections import checked_url
from station.configuration.section import Port, Section, Share

MAX_ROWS = 5000
"""Of one transaction."""


class PostgresSection(Section):
    """Rows to PostgreSQL, where all stations of a plant stand side by side (extra `plant-db`)."""

    host: str | None = Field(
        None, min_length=1, description="Server, or the folder of its Unix socket. Unset: nothing is sent."
    )
    port: Port = Field(5432, description="Its port.")
    database: str = Field("plant", min_length=1, max_length=63, description="Database with the schema of the fleet.")
    user: str = Field("", max_length=63, description="User of the database, a member of `station_writer`. Needed.")
    password_file: Path | None = Field(None, strict=False, description="File with the password of `user`, one line.")
    encryption: Literal["full", "authority", "none"] = Field(
        "full",
        description="`full`: the certificate must be of the authority and of this host; `authority`: of the authority; "
        "`none`: only to this computer, or with `unencrypted`.",
    )
    ca_file: Path | None = Field(None, strict=False, description="File (PEM) of the authority of the server.")
    certificate_file: Path | None = Field(
        None, strict=False, description="File (PEM) with the station's own certificate, where the server asks for one."
    )
    key_file: Path | None = Field(None, strict=False, description="File (PEM) with the key of `certificate_file`.")
    unencrypted: bool = Field(False, description='encryption = "none" to another computer is meant so.')
    pass_every: int = Field(
        1000,
        ge=0,
        le=1_000_000,
        description="Parts that are PASS: a row of every Nth; 1: of all; 0: of none. All others always have one, and "
        "the sums of each minute count every part.",
    )
    events: bool = Field(True, description="Also the events of the station.")
    labels: bool = Field(True, description="Also what people said of parts, with their names.")
    batch: int = Field(1000, ge=1, le=MAX_ROWS, description="Most parts of one transaction.")
    timeout_s: float = Field(20.0, ge=1, le=300, description="Longest time to connect, and of one transaction.")

    @property
    def is_local(self) -> bool:
        """Nothing of it crosses a network."""
        return self.host is not None and (self.host.startswith("/") or is_loopback(self.host))

    @model_validator(mode="after")
    def _whole(self) -> PostgresSection:
        if self.host is None:
            return self
        if not self.user:
            raise ValueError("host without user: a member of the role station_writer, see docs/plant.md")
        if "," in self.host:
            raise ValueError(f'host = "{self.host}": one server; give the name that leads to the one that writes')
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file belong together: give both, or none")
        if self.encryption == "none":
            if not (self.is_local or self.unencrypted):
                raise ValueError(
                    f'encryption = "none" to {self.host}: results and password would cross the network in clear; give '
                    "ca_file, or unencrypted = true"
                )
        elif self.ca_file is None and not self.host.startswith("/"):
            raise ValueError(
                f'encryption = "{self.encryption}" without ca_file: nobody could say whether it is the server; give '
                'the PEM file of its authority, or encryption = "none" where the server is this computer'
            )
        return self


class ChannelSection(Section):
    """The signed channel from which `station fleet pull` takes new engines, as candidates. It never activates one."""

    url: str | None = Field(
        None,
        min_length=1,
        description="Folder of the product's channel (a share that is mounted), or its https address.",
    )
    ca_file: Path | None = Field(
        None, strict=False, description="File (PEM) of the authority of the server. Unset: those of this computer."
    )
    max_mb: int = Field(500, ge=1, le=4096, description="Largest archive that is fetched.")
    timeout_s: float = Field(600.0, ge=5, le=86_400, description="Longest time that one file takes.")

    @field_validator("url")
    @classmethod
    def _usable(cls, url: str | None) -> str | None:
        if url is None or "://" not in url:
            return url
        return checked_url(url)


class ImagesSection(Section):
    """Images to a folder that many stations share: all that is not PASS, and a random share of PASS."""

    folder: Path | None = Field(
        None,
        strict=False,
        description="Folder of a mounted share; it must hold the file `.station-images`. Unset: nothing is sent.",
    )
    pass_share: Share = Field(
        0.002,
        description="Share of PASS parts, drawn at random; at most `[records] pass_image_share`.",
    )
    per_day: int = Field(500, ge=0, le=1_000_000, description="Most images of a day; the first of it are sent.")
    pass_per_day: int = Field(100, ge=0, le=1_000_000, description="Of these, most that are of PASS parts.")
