"""PNG files in memory.

Whoever reads a manifest imports this module; only who looks at a picture loads what understands one.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def png_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) from the header, before anything is decoded; None if this is not a PNG."""
    if len(data) < 24 or data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR":
        return None
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def encode_png(image: NDArray[np.uint8]) -> bytes | None:
    """A grey (height, width) or RGB (height, width, 3) image as PNG; None if it cannot be."""
    import cv2  # noqa: PLC0415  see above

    done, png = cv2.imencode(".png", image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return png.tobytes() if done else None


def decode_rgb(data: bytes) -> NDArray[np.uint8] | None:
    """(height, width, 3) RGB; None if this cannot be decoded."""
    import cv2  # noqa: PLC0415  see above
    import numpy as np  # noqa: PLC0415

    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return None if pixels is None else np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)


def decode_grey(data: bytes) -> NDArray[np.uint8] | None:
    """(height, width); None if this cannot be decoded."""
    import cv2  # noqa: PLC0415  see above
    import numpy as np  # noqa: PLC0415

    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    return None if pixels is None else np.asarray(pixels, np.uint8)
