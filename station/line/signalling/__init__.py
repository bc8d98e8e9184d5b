"""Opens, judges and closes each part; the one thread that owns what must be consistent."""
