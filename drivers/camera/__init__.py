"""Cameras: the protocol, GenICam through harvesters, folders of images, and the software camera simtl.

`open_camera` gives a `Camera` for `CameraSettings`; one thread uses it, from connecting to disconnecting. Everything
that goes wrong is a `CameraError` whose message names the camera, what was asked and what it allows.
"""
