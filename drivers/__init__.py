"""The outside world, each piece behind a small protocol: cameras and PLCs. Imports neither station nor engines."""
