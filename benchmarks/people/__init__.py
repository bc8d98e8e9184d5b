"""Three people at a fresh station, in a real browser: what the day of each costs in clicks, keys and seconds."""
