"""Who asks an S3 store: AWS Signature Version 4 of a GET without a body, in the headers of the request.

Amazon S3 API Reference, "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)", transfer
of the payload in a single chunk.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote

_NOTHING = hashlib.sha256(b"").hexdigest()
"""Of the body of a GET."""
_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Signer:
    """Of one access key; `repr` shows no secret."""

    key_id: str
    secret: str = field(repr=False)
    region: str

    def headers(
        self, host: str, path: str, query: Mapping[str, str], now: datetime, more: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """What the request must carry. `path`: as it stands in the request line; `now`: UTC; `more`: also signed."""
        stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
        signed = {"host": host, "x-amz-content-sha256": _NOTHING, "x-amz-date": stamp, **(more or {})}
        names = ";".join(sorted(signed))
        lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
        request = "\n".join(("GET", path, query_of(query), lines, names, _NOTHING))
        scope = f"{day}/{self.region}/s3/aws4_request"
        text = "\n".join((_ALGORITHM, stamp, scope, hashlib.sha256(request.encode()).hexdigest()))
        key = f"AWS4{self.secret}".encode()
        for piece in (*scope.split("/"), text):
            key = hmac.digest(key, piece.encode(), hashlib.sha256)
        authorization = f"{_ALGORITHM} Credential={self.key_id}/{scope},SignedHeaders={names},Signature={key.hex()}"
        return {**signed, "Authorization": authorization}


def path_of(bucket: str, name: str = "") -> str:
    """Of an object, as it stands in the request line and is signed: every byte that is not of a plain name quoted."""
    return f"/{bucket}/{quote(name, safe='/-_.~')}" if name else f"/{bucket}"


def query_of(query: Mapping[str, str]) -> str:
    """In the order and the spelling in which it is signed."""
    return "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in sorted(query.items()))
