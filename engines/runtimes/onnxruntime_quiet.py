"""ONNX Runtime, imported without its telemetry: every module takes it from here.

Since 1.29 the official Linux wheels send usage data to Microsoft unless ORT_DISABLE_TELEMETRY is set before they are
imported (Privacy.md in the wheel). A station on a factory network calls nobody.
"""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime as ort

__all__ = ["ort"]
