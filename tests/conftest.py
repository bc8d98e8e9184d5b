"""For all tests."""

import os
import signal

from hypothesis import settings

# How long an example takes is a matter of the machine, and of benchmarks.
settings.register_profile("station", deadline=None)
settings.load_profile("station")

# Tests run two at a time: threads that wait for work must not take the cores away from those that have some.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# A shell that starts a command in the background has it ignore Ctrl-C, and all that the tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
