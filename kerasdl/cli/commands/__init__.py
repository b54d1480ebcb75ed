"""One module for each command; its `run(parser, arguments)` returns the exit code."""
