"""The status block has two writers: signalling, and the ejection stage for the bits of the ejectors.

A push may not wait until signalling has finished with a result, so the ejection stage publishes by itself. Both pass
here; each publishes the newest of both, as one image. The lock is held for the time of one encoding, some 50 us.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from drivers.plc.protocol import PlcOutputs

EJECTORS = 4


class StatusPublisher:
    """Joins what signalling and the ejection stage publish."""

    def __init__(self, publish: Callable[[PlcOutputs], None]) -> None:
        self._publish = publish
        self._lock = threading.Lock()
        self._outputs = PlcOutputs()
        self._pushing = (False,) * EJECTORS
        self._ejected = 0

    def publish(self, outputs: PlcOutputs) -> None:
        """The status block of signalling; its ejector bits are not looked at."""
        with self._lock:
            self._outputs = outputs
            self._send()

    def show_ejectors(self, pushing: tuple[bool, ...], ejected: int) -> None:
        """Which ejectors push now, and how many parts were pushed off."""
        with self._lock:
            self._pushing = (pushing + (False,) * EJECTORS)[:EJECTORS]
            self._ejected = ejected
            self._send()

    def _send(self) -> None:
        first, second, third, fourth = self._pushing
        self._publish(
            replace(
                self._outputs,
                ejector1=first,
                ejector2=second,
                ejector3=third,
                ejector4=fourth,
                ejectors=sum(on << number for number, on in enumerate(self._pushing)),
                count_ejected=self._ejected,
            )
        )
