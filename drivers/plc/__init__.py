"""PLCs: the register map as data, the protocol, and Modbus behind one adapter package."""
