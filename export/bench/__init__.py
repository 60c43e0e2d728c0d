"""Benchmarks on data that the user names: ``deixis bench speech --data FOLDER``."""
