"""The human in the loop (paper V): ask about a few galaxies, learn, rank the rest, ask again."""
