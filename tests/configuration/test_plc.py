"""`[plc]`: what is taken, and that a key which would do nothing is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from drivers.plc.absent import NoPlc
from drivers.plc.modbus import ModbusClientLink, ModbusRtuServerLink, ModbusTcpServerLink
from drivers.plc.protocol import PlcError
from station.configuration import load as config
from station.configuration.load import ConfigurationError, LoadedConfiguration
from station.configuration.plc import PlcSection
from station.daemon import assembly
from tests.bench.four_links import TcpSlave
from tests.bench.ports import free_port


def load(directory: Path, plc: str) -> LoadedConfiguration:
    path = directory / "station.toml"
    path.write_text(f'[cameras.top]\nproducer = "simtl"\n[plc]\n{plc}\n')
    return config.load(path)


@pytest.mark.parametrize(
    ("plc", "link"),
    [
        ("", ModbusTcpServerLink),
        ('word_order = "low_first"\nbyte_order = "low_first"\nbase_address = 400', ModbusTcpServerLink),
        ('transport = "rtu"\nserial_port = "/dev/ttyS0"\nparity = "none"\nstop_bits = 2', ModbusRtuServerLink),
        ('role = "client"\nhost = "192.0.2.5"\nport = 502\nunit_id = 255', ModbusClientLink),
        ('role = "client"\ntransport = "rtu"\nserial_port = "/dev/ttyS0"\nunit_id = 17', ModbusClientLink),
        ('role = "client"\ncontrol_address = 68\nstatus_address = 0', ModbusClientLink),
        ('role = "off"\nport = 502\npoll_period_ms = 10', NoPlc),
    ],
)
def test_each_role_and_transport_has_its_link(tmp_path: Path, plc: str, link: type) -> None:
    assert type(assembly.plc_link(load(tmp_path, plc), lambda _: None, lambda _: None)) is link


@pytest.mark.parametrize(
    ("plc", "expected"),
    [
        ('serial_port = "/dev/ttyS0"', r"serial_port: without effect with transport = \"tcp\""),
        ("baud_rate = 9600\nparity = 'odd'", "baud_rate, parity: without effect"),
        ('transport = "rtu"\nserial_port = "x"\nport = 502', r"port: without effect with transport = \"rtu\""),
        ('transport = "rtu"', "needs `serial_port`"),
        ('transport = "rtu"\nserial_port = "x"\nwriters = []', "writers: without effect .* one client"),
        ('transport = "rtu"\nserial_port = "x"\nunit_id = 0', "unit_id = 0: .* takes 1 to 247"),
        ("unit_id = 248", "unit_id = 248: .* takes 0 to 247"),
        ("poll_period_ms = 10", r"poll_period_ms: without effect with role = \"server\""),
        ('role = "client"\nbase_address = 0', "base_address: without effect"),
        ('role = "client"\nwriters = ["10.0.0.1"]', "writers: without effect"),
        ('role = "client"\nstatus_address = 13', r"control block .*0 to 13.* status block \(13 to 80\) overlap"),
        ('role = "client"\nstatus_address = 65469', "status_address"),
        ('transport = "rtu"\nserial_port = "x"\nstop_bits = 3', "stop_bits"),
        ('writers = ["plc-1"]', "plc-1"),
        ('role = "client"\none_writer = "address"', "one_writer: without effect"),
        ('one_writer = "host"', "connection"),
        ('role = "both"', "'server', 'client' or 'off'"),
    ],
)
def test_what_cannot_be_is_refused_with_a_reason(tmp_path: Path, plc: str, expected: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        load(tmp_path, plc)
    assert "[plc]" in str(error.value) or "plc:" in str(error.value)
    assert re.search(expected, str(error.value)), str(error.value)


def test_every_key_is_used_by_some_role_or_refused() -> None:
    """A new key must be added to the table of keys that mean nothing elsewhere, or here."""
    everywhere = {"role", "transport", "unit_id", "word_order", "byte_order", "heartbeat_timeout_s", "batches"}
    restricted: set[str] = set()
    for settings in ({"role": "server"}, {"role": "client"}, {"transport": "rtu", "serial_port": "x"}):
        for key, field in PlcSection.model_fields.items():
            values: dict[str, Any] = {key: field.get_default(call_default_factory=True, validated_data={}), **settings}
            try:
                PlcSection(**values)
            except ValueError as error:
                if "without effect" in str(error):
                    restricted.add(key)
    assert everywhere | restricted == set(PlcSection.model_fields)


def test_a_check_says_what_it_found(tmp_path: Path) -> None:
    port = free_port()
    assert assembly.check_plc(load(tmp_path, 'role = "off"')) == "none configured"
    assert assembly.check_plc(load(tmp_path, f"port = {port}")) == f"Modbus TCP can listen on 127.0.0.1:{port}, unit 1"
    client = load(tmp_path, f'role = "client"\nport = {port}')
    with pytest.raises(PlcError, match=f"no connection to 127.0.0.1:{port}: Connection refused"):
        assembly.check_plc(client)
    advice = "; advice: whoever reaches it may write, name the PLC in [plc] writers"
    for lines, found in (('host = "0.0.0.0"', advice), ('host = "0.0.0.0"\nwriters = ["10.0.0.7"]', "")):
        said = assembly.check_plc(load(tmp_path, f"{lines}\nport = {free_port()}"))
        assert said.endswith(f", unit 1{found}")
    plc = TcpSlave(port)
    assert assembly.check_plc(client) == f"127.0.0.1:{port}, unit 1 responds: its control block can be read"
    plc.close()
