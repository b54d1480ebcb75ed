"""What every trial needs, imported once in the process that trials are forked from.

A fresh process spends seconds on these imports for each trial. TensorFlow has only been imported when a trial
is forked: its threads and its devices come to be in the trial.
"""

import signal

from kerasdl import environment

environment.import_tensorflow(look_for_devices=False)

from kerasdl.jobs import train  # noqa: E402, F401
from kerasdl.search.trials import process  # noqa: E402, F401

# Ctrl-C is for the search, which asks trials to stop. Until here the signal was blocked (`pool.py`).
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
