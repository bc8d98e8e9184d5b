"""What the Modbus side costs: publishing, from a PLC's write to the station, reading with several clients.

    python benchmarks/plc_link.py [--clients 4] [--seconds 10] [--json FILE]

Over loopback; the readers run in processes of their own, each polling the whole status block every 10 ms as the
acceptance figures ask for. Times are those of the machine as it is: other load shows.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import multiprocessing.synchronize
import time
from pathlib import Path

import numpy as np
from pyModbusTCP.client import ModbusClient

from drivers.plc.modbus import ModbusServerSettings, ModbusTcpServerLink
from drivers.plc.protocol import PlcOutputs

POLL_S = 0.01


def percentiles(seconds: list[float], unit: float) -> dict[str, float]:
    values = np.array(seconds) * unit
    return {f"p{q}": round(float(np.percentile(values, q)), 3) for q in (50, 99)} | {
        "max": round(float(values.max()), 3)
    }


def poll(port: int, stop: multiprocessing.synchronize.Event, results: multiprocessing.Queue[list[float]]) -> None:
    """Reads bits and registers every 10 ms until `stop` is set. Puts an empty list when it has begun, at the end the
    time of each request in s."""
    client, times = ModbusClient("127.0.0.1", port), []
    while not stop.is_set():
        start = time.perf_counter()
        for read, count in ((client.read_discrete_inputs, 27), (client.read_input_registers, 48)):
            before = time.perf_counter()
            if read(0, count) is None:
                raise SystemExit(f"benchmark: read failed: {client.last_error_as_txt}")
            times.append(time.perf_counter() - before)
            if len(times) == 1:
                results.put([])
        stop.wait(max(0.0, start + POLL_S - time.perf_counter()))
    client.close()
    results.put(times)


def measure(clients: int, seconds: float) -> dict[str, dict[str, float]]:
    """All figures while `clients` processes poll; every write is a Trigger edge, as in the handshake."""
    arrived: list[float] = []
    publishes: list[float] = []
    writes: list[float] = []
    sent: list[float] = []
    link = ModbusTcpServerLink(
        ModbusServerSettings(port=0), lambda _: arrived.append(time.perf_counter()), lambda _: None
    )
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[list[float]] = context.Queue()
    with link:
        stop = context.Event()
        readers = [context.Process(target=poll, args=(link.port, stop, results)) for _ in range(clients)]
        for reader in readers:
            reader.start()
        for _ in readers:
            results.get(timeout=60)  # it polls now
        plc = ModbusClient("127.0.0.1", link.port)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            before = time.perf_counter()
            if not plc.write_single_coil(1, len(sent) % 2 == 0):
                raise SystemExit(f"benchmark: write failed: {plc.last_error_as_txt}")
            writes.append(time.perf_counter() - before)
            sent.append(before)
            for count in range(10):
                outputs = PlcOutputs(heartbeat=count, acquisition_id=len(sent), score=0.5)
                before = time.perf_counter()
                link.publish(outputs)
                publishes.append(time.perf_counter() - before)
            time.sleep(0.005)
        stop.set()
        reads = [results.get(timeout=60) for _ in readers]
        for reader in readers:
            reader.join()
        plc.close()
    if len(arrived) != len(sent):
        raise SystemExit(f"benchmark: {len(sent)} edges written, {len(arrived)} arrived")
    return {
        "publish_us": percentiles(publishes, 1e6),
        "write_to_station_ms": percentiles([a - s for a, s in zip(arrived, sent, strict=True)], 1e3),
        "write_answered_ms": percentiles(writes, 1e3),
        **({"read_ms": percentiles([t for times in reads for t in times], 1e3)} if reads else {}),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    report = {
        "alone": measure(0, arguments.seconds),
        f"{arguments.clients}_clients": measure(arguments.clients, arguments.seconds),
    }
    print(json.dumps(report, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
