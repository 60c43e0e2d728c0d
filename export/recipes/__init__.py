"""Recipes: what may be done to each model; :mod:`deixis.export.recipes.catalogue` has them all."""
