"""The bits and registers that a PLC and the station exchange: pure, owned by signalling."""
