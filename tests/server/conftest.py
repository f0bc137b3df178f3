"""The server's fixtures."""

from server_made import ehr, served
from site_made import site

__all__ = ["ehr", "served", "site"]
