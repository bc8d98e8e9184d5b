"""The GenICam library, which the drivers import: does it load here?"""

from __future__ import annotations

from drivers.camera.protocol import ProducerError


def require_genicam() -> None:
    """Raises ProducerError, with what to do: its wheels want a shared library that a bare Python of Debian has not."""
    try:
        import genicam.genapi  # noqa: F401, PLC0415  slow, so only before it is used
    except ImportError as error:
        advice = "run the installer again"
        if "libpython" in str(error):
            advice = "install the shared library of this Python (Debian, Ubuntu: apt install python3-dev)"
        raise ProducerError(f"the GenICam library does not load: {error}; {advice}") from error
