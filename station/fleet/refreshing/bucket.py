"""Images from an S3 store, for a refresh in one place: ListObjectsV2 page by page, GetObject one by one.

    page of 1,000 names ──► those of a station and day, bounded ──► an image: size first, then its bytes

The library that puts images (`northbound/images/s3.py`) is no help here: it follows redirects of a GET to any address,
one name that climbs ends its whole list, and it reads what is listed without a bound. So a request is a GET with a
signature over the connection that the channel uses. A reply that may come right is asked for again, `TRIES` times with
a pause; then the try of the job is over.
"""

from __future__ import annotations

import http.client
import re
import ssl
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

from station.fleet.asking import PIECE, AskingError, Server
from station.fleet.refreshing.s3_signature import Signer, path_of, query_of
from station.northbound.images.stores import ADVICE_OF_CODE, MARK, Place, StoreError

TRIES = 4
PAUSE_S = 0.5
"""Before the second try, and twice as long before each further one."""
PAGE = 1000
"""Names of one reply; no store gives more."""
MOST_PAGE_BYTES = 8 << 20
"""A thousand names of 1,024 bytes, each of them quoted, are half of it."""
MOST_ERROR_BYTES = 1 << 16
LIST_S = 600.0
"""Of all pages of a station and day: a store that gives one name a page ends here, too."""
_LIST = {"list-type": "2", "encoding-type": "url"}
_CODE = re.compile(rb"<Code>(\w{1,64})</Code>")
_ADVICE = {
    **ADVICE_OF_CODE,
    "AccessDenied": "the key may not read; give it s3:ListBucket and s3:GetObject on this bucket",
    "InvalidObjectState": "the image is archived; bring it back first, or keep images where they can be read",
}
_ADVICE_OF_STATUS = {403: "the key may not read; [images] key_id, secret_file", 404: "[images] endpoint, bucket"}
_PASSES = (408, 429, 500, 502, 503, 504)


class _Passing(StoreError):
    """It may come right by itself."""


class _Gone(StoreError):
    """There is no such object."""


class Bucket:
    """Of an S3 store, with path-style addresses, to be read. Used by one thread."""

    def __init__(self, place: Place, *, sleep: Callable[[float], None] = time.sleep) -> None:
        """Raises StoreError: the certificates cannot be used."""
        self._place = place
        self._signer = Signer(place.key_id, place.secret, place.region)
        self._host = urlsplit(place.endpoint).netloc
        self._server = Server(place.endpoint, _trusted(place), timeout_s=place.timeout_s, section="[images]")
        self._sleep = sleep

    @property
    def where(self) -> str:
        return f"{self._place.endpoint}/{self._place.bucket}"

    def names(self, prefix: str, most: int) -> list[str]:
        found: list[str] = []
        query = {**_LIST, "prefix": f"{prefix}/", "max-keys": str(PAGE)}
        end = time.monotonic() + LIST_S
        while True:
            names, token = self._page(query)
            found += names
            if len(found) > most:
                raise StoreError(f"{self.where} has more than {most} images of one day below {prefix}")
            if not token:
                return found
            if token == query.get("continuation-token") or time.monotonic() > end:
                raise StoreError(f"{self.where}: its list below {prefix} does not end")
            query["continuation-token"] = token

    def read(self, name: str, most: int) -> bytes | None:
        try:
            return self._patiently(lambda: self._get(path_of(self._place.bucket, name), {}, most))
        except _Gone:
            return None

    def reach(self) -> str:
        """Lists, and reads, what is not there: shows whether it may. Puts nothing."""
        try:
            self._page({**_LIST, "prefix": MARK, "max-keys": "1"})
            self.read(MARK, MOST_ERROR_BYTES)
        except StoreError as problem:
            return str(problem)
        except ValueError as problem:
            return f"{self.where}: {MARK} holds {problem}"
        return ""

    def _page(self, query: Mapping[str, str]) -> tuple[list[str], str]:
        """Its names, and the token of the next page or nothing. Raises StoreError."""
        path = path_of(self._place.bucket)
        try:
            content = self._patiently(lambda: self._get(path, query, MOST_PAGE_BYTES))
        except ValueError as problem:
            raise StoreError(f"{self.where}: its list is {problem}") from problem
        return _listed(content, self.where)

    def _patiently(self, ask: Callable[[], bytes]) -> bytes:
        for number in range(TRIES - 1):
            try:
                return ask()
            except _Passing:
                self._sleep(PAUSE_S * 2**number)
        return ask()

    def _get(self, path: str, query: Mapping[str, str], most: int) -> bytes:
        """Raises StoreError; ValueError: it is larger than `most` bytes, of which nothing beyond was read."""
        target = f"{path}?{query_of(query)}" if query else path
        headers = self._signer.headers(self._host, path, query, datetime.now(timezone.utc))
        try:
            with self._server.reply(target, headers) as reply:
                if reply.status != http.client.OK:
                    raise self._refused(reply)
                return self._content(reply, most)
        except _Larger as problem:
            raise ValueError(f"more than {most} bytes") from problem
        except AskingError as problem:
            raise _Passing(f"{self.where}: {problem}") from problem

    def _content(self, reply: http.client.HTTPResponse, most: int) -> bytes:
        if (reply.length or 0) > most:
            raise _Larger
        if reply.length is None and not reply.chunked:  # then nobody could see that it was cut off
            raise _Passing(f"{self.where}: a reply does not say how long it is")
        content = bytearray()
        while piece := reply.read1(PIECE):
            content += piece
            if len(content) > most:
                raise _Larger
        if reply.length:
            raise _Passing(f"{self.where}: a reply was cut off: {reply.length} bytes are missing")
        return bytes(content)

    def _refused(self, reply: http.client.HTTPResponse) -> StoreError:
        found = _CODE.search(reply.read(MOST_ERROR_BYTES))
        code, status = "" if found is None else found[1].decode(), reply.status
        if code == "NoSuchKey":
            return _Gone(code)
        if 300 <= status < 400:
            said = f"{code or 'it'} replied {status}: the bucket has another address; [images] endpoint, region"
        elif code:
            said = f"{code}: {_ADVICE.get(code, f'it replied {status}')}"
        else:
            said = f"it replied {status}: {_ADVICE_OF_STATUS.get(status, 'it does not give the image')}"
        return (_Passing if status in _PASSES else StoreError)(f"{self.where}: {said}")


def _listed(content: bytes, where: str) -> tuple[list[str], str]:
    """Names of a page, and the token of the next one. Raises StoreError."""
    try:
        if b"<!DOCTYPE" in content:  # entities of its own: no store sends any
            raise ValueError("it has a document type")
        listed = ElementTree.fromstring(content)
        if _local(listed) != "ListBucketResult":
            raise ValueError(f"<{_local(listed):.40}>")
        values = {_local(one): one.text or "" for one in listed}
        is_quoted = values.get("EncodingType") == "url"
        keys = [key.text or "" for one in listed if _local(one) == "Contents" for key in one if _local(key) == "Key"]
    except (ElementTree.ParseError, ValueError) as problem:
        raise StoreError(f"{where}: it replied as no S3 store does ({problem}); [images] endpoint") from problem
    if values.get("IsTruncated") != "true":
        token = ""
    elif not (token := values.get("NextContinuationToken", "")):
        raise StoreError(f"{where}: its list says that it goes on, and not where")
    return [unquote(key.replace("+", " ")) if is_quoted else key for key in keys], token


def _local(one: ElementTree.Element) -> str:
    return one.tag.rpartition("}")[2]


def _trusted(place: Place) -> ssl.SSLContext:
    """Authorities of this computer, and that of the configuration beside them, as for images that are put."""
    context = ssl.create_default_context()
    try:
        if place.ca_file is not None:
            context.load_verify_locations(str(place.ca_file))
    except OSError as problem:
        raise StoreError(f"[images] ca_file = {place.ca_file}: {problem.strerror or problem}") from problem
    return context


class _Larger(Exception):
    """Apart from what goes wrong with the connection."""
