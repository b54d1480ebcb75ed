"""Tools to build report pages."""
