"""The server's fixtures."""

from server_made import ehr, served

__all__ = ["ehr", "served"]
