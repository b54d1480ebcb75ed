"""Shipped pipelines: one file is one experiment. Loaded by file, never imported by name."""
