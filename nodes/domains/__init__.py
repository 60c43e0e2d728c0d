"""Domains (what can be said) that come with the package, as YAML."""
