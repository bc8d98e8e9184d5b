"""From settings to a camera."""

from __future__ import annotations

from drivers.camera.library import require_genicam
from drivers.camera.protocol import Camera
from drivers.camera.settings import CameraSettings


def open_camera(settings: CameraSettings) -> Camera:
    """The camera that `settings.driver` names, not connected yet. Raises CameraSettingError, ProducerError.

    A driver is imported when it is used: a folder of images needs no GenICam.
    """
    if settings.driver == "folder":
        from drivers.camera.folder import FolderCamera  # noqa: PLC0415

        return FolderCamera(settings)
    require_genicam()
    from drivers.camera.genicam import GenicamCamera  # noqa: PLC0415

    return GenicamCamera(settings)
