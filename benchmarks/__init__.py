"""Measurements of the product: `python -m benchmarks --help`. Nothing is asserted here."""
