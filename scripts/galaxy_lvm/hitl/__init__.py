"""The human in the loop (paper V): ask about a few galaxies, learn, rank the rest, ask again."""

from galaxy_lvm.hitl.session import Session

__all__ = ["Session"]
