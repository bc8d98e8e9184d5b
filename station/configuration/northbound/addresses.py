"""Which addresses are reached from this computer alone."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Reached from this computer alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
