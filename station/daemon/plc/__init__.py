"""What the PLC asks for and takes longer than a scan: recipe, engine, configuration, batch. One thread of its own."""
