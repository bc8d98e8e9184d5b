"""Cameras: the protocol, GenICam through harvesters, folders of images, and the software camera simtl."""
