"""Teaching engines: the only code, with the detectors, that reaches PyTorch. Runs in its own process."""
