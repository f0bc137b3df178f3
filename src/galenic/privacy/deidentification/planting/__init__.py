"""Planted identifiers: copies of the input with known made-up identifiers, to measure how many are removed."""
