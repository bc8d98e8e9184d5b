"""The receiver of the document receives: its lines run, and refuse what is not genuine."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from station.forwarding.progress import Cursor
from station.northbound.signing import Secrets
from station.northbound.webhook import Webhook
from tests.bench.places import ROOT
from tests.bench.receiver import KEY, Receiver
from tests.northbound.sending import Bench, record, some


def test_the_receiver_of_the_document(tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "plant.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)  # noqa: S102  our own document
    names["Receiver"].log_message = lambda *_: None
    now = time.time()
    with names["serve"](0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        bench = Bench(tmp_path, _at(server.server_address[1]), batch=4, now=now)
        bench.steps(1)
        record(bench.records, some(1, 6))
        bench.drain()
        bench.cursors.place("webhook", Cursor(2))
        bench.drain()
        assert [event["data"]["part"]["part_id"] for event in names["seen"].values()] == list(range(1001, 1007))
        bench.close()
        for key, at in ((b"k" * 32, now), (KEY, now - 301.0)):
            clock: Callable[[], float] = partial(float, at)
            sender = Webhook(
                _at(server.server_address[1]).url, Secrets((key,)), timeout_s=5, as_list=False, clock=clock
            )
            outcome = sender.post([{"id": "forged"}])
            assert "replied 401" in outcome.detail
            sender.close()
        assert "forged" not in names["seen"]
        server.shutdown()
        thread.join(10)


def _at(port: int) -> Receiver:
    return Receiver(port=port)
