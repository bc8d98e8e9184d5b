"""What executes an engine's ONNX graph: `opening.py` chooses the runtime, `protocol.py` says what each must do."""
