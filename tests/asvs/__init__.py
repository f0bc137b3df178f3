"""Rows of OWASP ASVS 5.0."""
