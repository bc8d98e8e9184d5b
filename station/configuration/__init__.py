"""station.toml and recipes as typed sections, and which recipe was selected."""
