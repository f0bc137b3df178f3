"""Outbound requests: only to registered destinations, under an access decision, over TLS."""

from galenic.records.exchange.client import Reply, call, declare, origin_of

__all__ = ["Reply", "call", "declare", "origin_of"]
