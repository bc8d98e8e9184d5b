"""What is sent to the plant: its sections of station.toml, and which addresses are those of this computer."""
