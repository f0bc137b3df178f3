"""Rows of the token vault: encrypted originals of tokens. Only the package privacy uses them."""

from galenic.store.vault.token_rows import put_tokens, reveal_token, subject_of_token

__all__ = ["put_tokens", "reveal_token", "subject_of_token"]
