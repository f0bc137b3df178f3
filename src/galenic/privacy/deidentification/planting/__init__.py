"""Planted identifiers: copies of the input with known made-up identifiers in them, to measure how many come out."""
