"""What a target is: it takes one input after the other and says what came of it.

A target returns a word for what it did with the input (`refused`, `taken`, ...). Any exception that leaves it is a
crash: what a reader promises to raise for bad input is caught by name.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractContextManager

Try = Callable[[random.Random], str]
Target = Callable[[], AbstractContextManager[Try]]
SHARED_MEMORY = "/dev/shm"


class Broken(AssertionError):
    """The input did something that no input may do."""
