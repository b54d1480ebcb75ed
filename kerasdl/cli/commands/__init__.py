"""One module a command; its `run(parser, arguments)` imports what it needs and returns the exit code."""
