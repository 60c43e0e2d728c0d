"""Measurements: corpora, and the results that the documentation quotes."""
