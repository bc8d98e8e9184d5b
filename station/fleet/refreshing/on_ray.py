"""Workers on a cluster of Ray: a task of one processor starts the same command there, as a process.

The only importer of Ray, and nobody imports this module but the command that was asked for it: Ray runs code for
whoever reaches its ports, so it belongs behind a firewall, and never on a station. Configuration, share of images and
folder of results have the same paths on every node.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Any

import ray
from ray.exceptions import RayError

from station.fleet.refreshing.executors import LAST_BYTES, STOP_S, Gone
from station.fleet.refreshing.jobs import FleetError
from station.python_command import python_command

RETRIES = 2
"""Where the process of Ray that has the task is killed. A worker that is killed is the table's business."""


def work(words: Sequence[str]) -> tuple[int, str]:
    """On a node: code and last words of the worker; a task that is cancelled stops it, and it puts its job back."""
    worker = subprocess.Popen(python_command("station", *words), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        _, said = worker.communicate()
    finally:
        if worker.poll() is None:
            worker.terminate()
            worker.wait(STOP_S)
    return worker.returncode, said[-LAST_BYTES:].decode("utf-8", "replace").strip()


class OnRay:
    """Owns the connection to the cluster. Used by one thread."""

    def __init__(self, address: str | None, width: int | None) -> None:
        """`address`: None: a cluster of this computer alone, that ends with this. `width`: None: its processors.

        Raises FleetError.
        """
        try:
            local = {} if address is not None else {"num_cpus": width, "include_dashboard": False}
            ray.init(address=address, log_to_driver=False, configure_logging=False, **local)
            self._width = width or max(1, int(ray.cluster_resources().get("CPU", 1)))
        except (RayError, ConnectionError, RuntimeError, ValueError) as problem:
            raise FleetError(f"Ray at {address or 'this computer'}: {problem}") from problem
        self._task = ray.remote(num_cpus=1, max_retries=RETRIES)(work)
        self._running: list[Any] = []

    @property
    def width(self) -> int:
        return self._width

    @property
    def running(self) -> int:
        return len(self._running)

    def start(self, words: Sequence[str]) -> None:
        self._running.append(self._task.remote(list(words)))

    def ended(self) -> list[Gone]:
        if not self._running:
            return []
        over, self._running = ray.wait(self._running, num_returns=len(self._running), timeout=0)
        return [_gone(one) for one in over]

    def close(self) -> None:
        for one in self._running:
            ray.cancel(one)
        if self._running:
            ray.wait(self._running, num_returns=len(self._running), timeout=STOP_S)
        self._running = []
        ray.shutdown()


def _gone(task: Any) -> Gone:
    try:
        return Gone(*ray.get(task))
    except RayError as problem:
        return Gone(-1, f"Ray: {problem}"[-LAST_BYTES:])
