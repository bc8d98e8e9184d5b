"""What executes an engine's ONNX graph."""
