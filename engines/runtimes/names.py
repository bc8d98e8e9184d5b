"""The names of runtimes and precisions: one set for the configuration, the commands and what opens an engine.

Light, so that reading a configuration imports no runtime.
"""

from __future__ import annotations

from typing import Literal

RuntimeName = Literal["tensorrt", "onnx", "openvino"]
Asked = Literal["auto", "tensorrt", "onnx", "openvino"]
"""`auto`: `engines.runtimes.opening` chooses."""
Precision = Literal["fp16", "fp32", "int8-backbone"]
"""Of TensorRT; the processor computes in float32."""
