"""Trigger and exposure to `Frame`: the camera process, the ring of frames in shared memory, reconnecting."""
