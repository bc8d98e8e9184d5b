"""A bucket of an S3 store. The only importer of obstore.

One verb: PutObject with `If-None-Match: *` and the SHA-256 of the content, which the store compares. 412 is "it is
there already", so an image is never written over, and nothing but the right to put objects is needed.

No redirect is believed, and no proxy of the environment is asked: the address in the configuration is the only one that
images go to. A try ends within `timeout_s`, also where the store takes or sends a byte a second; what is tried again,
and when, is the connector's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from station.northbound.images.stores import ADVICE_OF_CODE, Place, StoreError

if TYPE_CHECKING:
    from obstore.store import ClientConfig

_CODE = re.compile(r"<Code>(\w{1,64})</Code>")
_STATUS = re.compile(r"status code: (\d{3})")
_LOWER = "Debug source"
"""In what the library reports, before all that it knows, down to the socket."""
_ALREADY_THERE = "412"
_ADVICE_OF_CODE = {
    **ADVICE_OF_CODE,
    "AccessDenied": "the key may not put objects there; give it s3:PutObject on this bucket",
    "ServiceUnavailable": "the store cannot take it now",
    "XMinioStorageFull": "the store is full",
    "QuotaExceeded": "the quota of the bucket is used up",
    "BadDigest": "what arrived is not what was sent",
    "NotImplemented": "the store knows no If-None-Match: without it images could be written over",
}
"""By the code in the reply of the store."""
_ADVICE_OF_STATUS = {
    "301": "the bucket has another address; [images] endpoint, region",
    "307": "the bucket has another address; [images] endpoint, region",
    "403": "the key may not put objects there; [images] key_id, secret_file",
    "404": "there is nothing; [images] endpoint, bucket",
    "507": "the store is full",
}
_ADVICE_OF_CAUSE = (
    ("kind: Timeout", "not done within {limit:g} s"),
    ("UnknownIssuer", "its certificate is not of an authority that is trusted; [images] ca_file"),
    ("CaUsedAsEndEntity", "its certificate signs itself; it must be of an authority, [images] ca_file"),
    ("InvalidContentType", "it speaks no TLS there; [images] endpoint"),
    ("InvalidCertificate", "its certificate is not one for this address, or not of now; [images] endpoint"),
    ("dns error", "nobody knows this name; [images] endpoint"),
    ("ConnectionRefused", "it cannot be reached: nobody listens there"),
    ("ETag Header missing", "it replied as no S3 store does; [images] endpoint"),
    ("redirect without LOCATION", "the bucket has another address; [images] endpoint, region"),
    ("IncompleteMessage", "it cannot be reached: the connection was closed without a whole reply"),
)
"""By what stands in the report where there was no reply that says why."""


class Bucket:
    """Of an S3 store, with path-style addresses. Used by one thread."""

    def __init__(self, place: Place, mark: str) -> None:
        """`mark`: name of a small object that is put once, to see whether images could be. Raises StoreError."""
        self._place = place
        self._mark = mark
        self._store = _store_of(place)

    @property
    def where(self) -> str:
        return f"{self._place.endpoint}/{self._place.bucket}"

    def put(self, name: str, content: bytes) -> bool:
        try:
            self._store.put(name, content, mode="create", use_multipart=False)
        except (AlreadyExistsError, BaseError, FileNotFoundError) as problem:
            report = str(problem)
            if isinstance(problem, AlreadyExistsError) and _status(report) == _ALREADY_THERE:
                return False  # 409, another put of it is under way, and 304 are no such thing
            raise StoreError(f"{self.where}: {_said(report, self._place.timeout_s)}") from problem
        return True

    def reach(self) -> str:
        try:
            self.put(self._mark, b"")
        except StoreError as problem:
            return str(problem)
        return ""


@contextmanager
def _without_settings_of_others() -> Iterator[None]:
    """The library takes every `AWS_...` of the environment for a setting, beside those that it is given, and a proxy
    from there, which would see the images. It looks when the store is made.
    """
    found = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("AWS_") or name.lower() in ("http_proxy", "https_proxy", "all_proxy")
    }
    for name in found:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(found)


def _status(report: str) -> str:
    found = _STATUS.search(report.partition(_LOWER)[0])
    return "" if found is None else found[1]


def _said(report: str, limit_s: float) -> str:
    """A sentence of what the library reports, which is long, and may hold all of the reply."""
    first = report.partition(_LOWER)[0]
    code, status = _CODE.search(first), _status(report)
    if code is not None:
        return f"{code[1]}: {_ADVICE_OF_CODE.get(code[1], f'it replied {status}')}"
    if status:
        return f"it replied {status}: {_ADVICE_OF_STATUS.get(status, 'it does not take the image')}"
    for cause, advice in _ADVICE_OF_CAUSE:
        if cause in report:
            return advice.format(limit=limit_s)
    return f"it cannot be reached: {' '.join(first.split()):.200}"


def _store_of(place: Place) -> S3Store:
    limit = timedelta(seconds=place.timeout_s)
    options: ClientConfig = {
        "allow_http": place.endpoint.startswith("http://"), "timeout": limit, "connect_timeout": limit,
    }  # fmt: skip
    try:
        if place.ca_file is not None:
            options["root_certificate"] = place.ca_file.read_bytes()
        with _without_settings_of_others():
            return S3Store(
                place.bucket,
                endpoint=place.endpoint,
                region=place.region,
                access_key_id=place.key_id,
                secret_access_key=place.secret,
                virtual_hosted_style_request=False,
                checksum_algorithm="SHA256",
                client_options=options,
                retry_config={"max_retries": 0, "retry_timeout": limit},
            )
    except OSError as problem:
        raise StoreError(f"[images] ca_file = {place.ca_file}: {problem.strerror or problem}") from problem
    except (BaseError, ValueError) as problem:
        where = f"[images] ca_file = {place.ca_file}, endpoint = {place.endpoint}"
        raise StoreError(f"{where}: {problem}") from problem
