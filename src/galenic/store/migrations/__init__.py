"""Alembic migrations of Galenic's own database: `env.py` runs them, `versions/` holds them."""
