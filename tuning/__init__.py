"""Search spaces: one file goes with the pipeline of its name."""
