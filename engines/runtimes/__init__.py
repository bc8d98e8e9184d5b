"""What executes an engine's ONNX graph."""

from __future__ import annotations

import os

# Since 1.29 the official Linux wheels of ONNX Runtime send usage data to Microsoft unless this is set before they are
# imported (Privacy.md in the wheel). A station on a factory network calls nobody.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
