"""The sections of station.toml for what is sent to the plant: results by webhook, and how long they wait."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from station.configuration.northbound.addresses import is_loopback
from station.configuration.section import Section

MAX_BATCH = 500


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
        raise ValueError("http would send results in clear: give https, or an address of this computer")
    return url
