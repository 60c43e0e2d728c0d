"""Inputs that pruned networks learn from; the unpruned ones answer them."""
