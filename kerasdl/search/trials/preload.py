"""Imports for all trials, done once in the process that they are forked from.

They would take each trial seconds. TensorFlow is only imported here: its threads and devices are created in
the trials.
"""

import signal

from kerasdl import environment

environment.import_tensorflow(look_for_devices=False)

from kerasdl.jobs import resume, train  # noqa: E402, F401
from kerasdl.search.trials import process  # noqa: E402, F401

# Ctrl-C is for the search, which asks trials to stop. Until here the signal was blocked (`pool.py`).
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
