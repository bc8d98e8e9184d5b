"""The command line of a Python process that runs one of our own modules, from any working directory.

`python -m MODULE` puts the working directory first on the module path: a folder `engines` (the default engine store)
or a file `json.py` in it would take the place of our package or of the standard library. `-P` and `-I` of Python are
no cure: the first exists from 3.11 on, the second drops PYTHONPATH and packages of the user. Every process that the
station starts takes its command from here.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]
_BOOTSTRAP = (
    "import sys; root, module = sys.argv[1:3]; del sys.argv[1:3]; "
    "sys.path[:] = [folder for folder in sys.path if folder]; "  # an empty one is the working directory
    "sys.path[:0] = [] if root in sys.path else [root]; "
    "import os, runpy; os.environ['PYTHONSAFEPATH'] = '1'; "  # the same for processes that this one starts
    "runpy.run_module(module, run_name='__main__', alter_sys=True)"
)


def python_command(module: str, *arguments: str, interpreter_options: Sequence[str] = ()) -> list[str]:
    """Runs `module` as `python -m` does, with the interpreter and the source tree of this process.

    Args:
        module: of this repository, "engines.training".
        arguments: of the module.
        interpreter_options: of Python itself, "-X", "faulthandler".
    """
    return [sys.executable, *interpreter_options, "-c", _BOOTSTRAP, str(_ROOT), module, *arguments]
