"""Rules by format: how each element, attribute or column is treated, independent of files."""
