"""A static page that runs a bundle's files in the browser."""
