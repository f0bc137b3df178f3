"""Tables in which nobody stands alone: groups that are alike in what others may know."""

from galenic.privacy.anonymity.mondrian import Wanted, groups

__all__ = ["Wanted", "groups"]
