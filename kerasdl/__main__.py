"""`python -m kerasdl` is the `kerasdl` command."""

import sys
from pathlib import Path

import kerasdl

# Python looks into the current folder first, which may be that of somebody else's files. Of it kerasdl takes
# nothing, unless it lies there itself: then it comes last.
if sys.path[:1] == [str(Path.cwd())]:
    here = sys.path.pop(0)
    if Path(kerasdl.__file__).resolve().parent.parent == Path(here).resolve():
        sys.path.append(here)

from kerasdl.cli import main

sys.exit(main())
