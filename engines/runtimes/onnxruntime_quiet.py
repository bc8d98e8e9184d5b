"""ONNX Runtime, without its telemetry and without other files: every module takes it from here.

Since 1.29 the official Linux wheels send usage data to Microsoft unless ORT_DISABLE_TELEMETRY is set before they are
imported (Privacy.md in the wheel). A station on a factory network calls nobody.
"""

from __future__ import annotations

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime as ort

__all__ = ["model_in_memory_only", "ort", "session_options"]

_NO_FOLDER = "/dev/null"


def session_options(threads: int) -> ort.SessionOptions:
    """Of a session beside a line, with as many threads in one inference, the caller's included."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors come as exceptions; the rest would go to stderr unformatted
    model_in_memory_only(options)
    # Spinning threads would burn the cores that camera and PLC need between two parts.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def model_in_memory_only(options: ort.SessionOptions) -> None:
    """Have sessions with these options read nothing but the bytes they get: ONNX, with its weights inside.

    A second barrier behind `engines.bundle.graph_check`. By default files that a tensor names are looked for in the
    working directory, and releases up to 1.23 take absolute paths, too.
    """
    options.add_session_config_entry("session.load_model_format", "ONNX")
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", _NO_FOLDER)
