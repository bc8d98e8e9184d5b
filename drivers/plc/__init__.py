"""PLCs: the register map as data, the protocol, and Modbus behind one adapter package.

`protocol.py` is all that the station knows of a link; `signal_map.py` is the map that docs/plc.md is generated from;
`modbus/` is the only importer of pymodbus. No verdict and no state of the handshake is known here.
"""
