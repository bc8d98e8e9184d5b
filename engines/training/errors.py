"""Errors of teaching. Each message says what failed, where, the value, what is allowed and what to do next.

TrainingError
├── DatasetError     the images: missing, unreadable, too few, not supported
└── ExportError      the exported graph does not compute what was trained
"""

from __future__ import annotations


class TrainingError(Exception):
    """Base of everything that ends a training."""


class DatasetError(TrainingError):
    """The images cannot be used."""


class ExportError(TrainingError):
    """The exported graph does not compute what was trained."""
