"""The sections of station.toml for what many stations have in common: rows in PostgreSQL, images, the channel of
engines.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

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
    """Images to a share or an S3 store of many stations: all that is not PASS, and a random share of PASS."""

    folder: Path | None = Field(
        None,
        strict=False,
        description="Folder of a mounted share; it must hold the file `.station-images`. Unset, and no `bucket`: "
        "nothing is sent.",
    )
    bucket: str | None = Field(
        None,
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
        description="Bucket of an S3 store, in place of `folder` (extra `plant-s3`). It must exist.",
    )
    endpoint: str | None = Field(
        None, description="Address of the S3 store, without the bucket: https://HOST:PORT. Needed with `bucket`."
    )
    region: str = Field(
        "us-east-1", pattern=r"^[A-Za-z0-9_-]{1,64}$", description="Region of the store, as it was set up."
    )
    key_id: str = Field("", max_length=128, description="Id of the access key. Needed with `bucket`.")
    secret_file: Path | None = Field(
        None, strict=False, description="File with the secret of the access key, one line. Needed with `bucket`."
    )
    ca_file: Path | None = Field(
        None,
        strict=False,
        description="File (PEM) of the authority of the store, beside those of this computer.",
    )
    unencrypted: bool = Field(False, description="http to another computer is meant so.")
    timeout_s: float = Field(20.0, ge=1, le=300, description="Longest time of one image to or from the S3 store.")
    pass_share: Share = Field(
        0.002,
        description="Share of PASS parts, drawn at random; at most `[records] pass_image_share`.",
    )
    per_day: int = Field(500, ge=0, le=1_000_000, description="Most images of a day; the first of it are sent.")
    pass_per_day: int = Field(100, ge=0, le=1_000_000, description="Of these, most that are of PASS parts.")

    @property
    def is_wanted(self) -> bool:
        """Images are sent."""
        return self.folder is not None or self.bucket is not None

    @field_validator("endpoint")
    @classmethod
    def _an_address(cls, endpoint: str | None) -> str | None:
        return None if endpoint is None else checked_endpoint(endpoint)

    @model_validator(mode="after")
    def _whole(self) -> ImagesSection:
        if self.bucket is None:
            return self
        if self.folder is not None:
            raise ValueError("folder and bucket: images go to one place; remove one of the two")
        if self.endpoint is None:
            raise ValueError("bucket without endpoint: give the address of the store, https://HOST:PORT")
        if not self.key_id or self.secret_file is None:
            raise ValueError("bucket without key_id and secret_file: the store could not know who sends")
        parts = urlsplit(self.endpoint)
        if parts.scheme == "http" and not (is_loopback(parts.hostname or "") or self.unencrypted):
            raise ValueError(
                f"endpoint = {self.endpoint}: images would cross the network in clear; give https, or "
                "unencrypted = true"
            )
        return self


def checked_endpoint(endpoint: str) -> str:
    """The same address, without a slash at its end. Raises ValueError: it is none, or has more than host and port."""
    if not (endpoint.isascii() and endpoint.isprintable()) or " " in endpoint:
        raise ValueError("an address has no spaces and no letters beyond ASCII")
    try:
        parts = urlsplit(endpoint)
        host, _ = parts.hostname, parts.port
    except ValueError as problem:
        raise ValueError(f"no address: {problem}; give https://HOST:PORT") from problem
    if parts.scheme not in ("https", "http") or not host:
        raise ValueError("no address: give https://HOST:PORT")
    if parts.username is not None or parts.password is not None:
        raise ValueError("no name and password in the address: key_id and secret_file say who sends")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("host and port alone: the bucket has a key of its own, bucket")
    return endpoint.rstrip("/")


class FleetSection(Section):
    """Refresh of many stations in one place: `station fleet refresh` and `worker`, on a computer that is no station."""

    results: Path | None = Field(
        None,
        strict=False,
        description="Folder for the engines that were made and their reports, the same for all workers; it must hold "
        "the file `.station-engines`.",
    )
    days: int = Field(30, ge=1, le=400, description="Images of as many days are looked at, the newest first.")
    tries: int = Field(3, ge=1, le=10, description="A job whose worker was lost, or failed, is tried as often.")
    lease_s: float = Field(
        120.0, ge=4, le=3600, description="A worker from which nothing was heard for this time counts as lost."
    )
    images_mb: int = Field(
        20_000,
        ge=100,
        le=1_000_000,
        description="Most that the images of one job take on the disk of its worker; a job with more of them fails.",
    )
