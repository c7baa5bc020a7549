"""Measurements, each one command, with their tables in README.md."""
