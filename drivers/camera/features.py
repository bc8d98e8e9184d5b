"""GenICam features by name, with errors that say what the camera would take."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from genicam import genapi, gentl

from drivers.camera.protocol import CameraLost, CameraSettingError
from drivers.camera.settings import FeatureValue

_READABLE = (genapi.EAccessMode.RO, genapi.EAccessMode.RW)
_WRITABLE = (genapi.EAccessMode.WO, genapi.EAccessMode.RW)


class Features:
    """The node map of one camera.

    `has`, `writable` and `choices` are for what a camera need not have; `get` and `set` raise CameraSettingError when
    the feature is missing or refuses. All raise CameraLost when the device does not respond.
    """

    def __init__(self, node_map: Any, camera: str) -> None:
        self._node_map = node_map
        self._camera = camera

    def exists(self, name: str) -> bool:
        """Whether the camera's description names the feature, readable now or not."""
        return bool(self._node_map.has_node(name))

    def has(self, name: str) -> bool:
        """Whether the camera has the feature and it can be read now."""
        return self._access(name) in _READABLE

    def writable(self, name: str) -> bool:
        """Whether the feature can be set, or the command executed, now."""
        return self._access(name) in _WRITABLE

    def choices(self, name: str) -> tuple[str, ...]:
        """The values of an enumeration that can be set now; none when the camera has no such enumeration."""
        if not self.exists(name):
            return ()
        with self._guard(name):
            node = self._node_map.get_node(name)
            if not isinstance(node, genapi.IEnumeration):
                return ()
            return tuple(entry.symbolic for entry in node.entries if entry.get_access_mode() in _READABLE)

    def get(self, name: str, *, from_device: bool = False) -> Any:
        """The value of a feature; `from_device` reads the register even if the value is cached."""
        with self._guard(name):
            node = self._node(name)
            return node.get_value(False, True) if from_device else node.value

    def reader(self, name: str) -> Callable[[], Any]:
        """Returns what `get` would, at each call, and looks the feature up only once: for what each frame needs."""
        node = self._node(name)

        def read() -> Any:
            with self._guard(name):
                return node.value

        return read

    def set(self, name: str, value: FeatureValue) -> None:
        """Sets a feature, or executes a command whose value is True."""
        with self._guard(name, value):
            node = self._node(name)
            if self._access(name) not in _WRITABLE:
                raise self._refused(name, value, "the feature is read-only or locked in this state of the camera")
            if isinstance(node, genapi.ICommand):
                self._check_type(name, value, bool)
                if value:
                    node.execute()
                return
            self._check(name, node, value)
            node.value = value

    def execute(self, name: str) -> None:
        """Executes a command."""
        with self._guard(name):
            self._node(name).execute()

    def _node(self, name: str) -> Any:
        if not self.exists(name):
            alike = difflib.get_close_matches(name, [node for node in dir(self._node_map) if node[0].isupper()], n=3)
            hint = f"; similar: {', '.join(alike)}" if alike else ""
            raise CameraSettingError(f'camera {self._camera}: no feature "{name}"{hint}')
        return self._node_map.get_node(name)

    def _access(self, name: str) -> int:
        if not self.exists(name):
            return int(genapi.EAccessMode.NI)
        with self._guard(name):
            return int(self._node_map.get_node(name).get_access_mode())

    def _check(self, name: str, node: Any, value: FeatureValue) -> None:
        """Refuses what the camera would refuse, but says what it allows."""
        if isinstance(node, genapi.IEnumeration):
            self._check_type(name, value, str)
            if value not in (choices := self.choices(name)):
                raise self._refused(name, value, f"allowed: {', '.join(choices)}")
        elif isinstance(node, genapi.IInteger):
            self._check_type(name, value, int)
            self._check_range(name, node, value)
            if (int(value) - node.min) % node.inc:
                raise self._refused(name, value, f"allowed: {node.min} to {node.max} in steps of {node.inc}")
        elif isinstance(node, genapi.IFloat):
            self._check_type(name, value, float, int)
            self._check_range(name, node, value)
        elif isinstance(node, genapi.IBoolean):
            self._check_type(name, value, bool)
        elif isinstance(node, genapi.IString):
            self._check_type(name, value, str)
        else:
            raise self._refused(name, value, "this kind of feature cannot be set from the configuration")

    def _check_range(self, name: str, node: Any, value: FeatureValue) -> None:
        # "not (a <= b <= c)" refuses NaN too.
        if not node.min <= value <= node.max:
            unit = f" {node.unit}" if node.unit else ""
            raise self._refused(name, value, f"allowed: {node.min:g} to {node.max:g}{unit}")

    def _check_type(self, name: str, value: FeatureValue, *types: type) -> None:
        if type(value) not in types:
            raise self._refused(name, value, f"a value of type {types[0].__name__} is needed")

    def _refused(self, name: str, value: FeatureValue, why: str) -> CameraSettingError:
        return CameraSettingError(f"camera {self._camera}: {name} = {value!r} refused: {why}")

    @contextmanager
    def _guard(self, name: str, value: FeatureValue | None = None) -> Iterator[None]:
        """The camera's own no is a setting error; a transport that fails is a lost device."""
        try:
            yield
        except genapi.GenericException as error:
            what = name if value is None else f"{name} = {value!r}"
            raise CameraSettingError(f"camera {self._camera}: {what}: {error}") from error
        except gentl.GenericException as error:
            raise CameraLost(f"camera {self._camera} does not answer ({name}): {error}") from error
