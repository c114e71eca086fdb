"""Galaxy-image framework: a large vision model, tasks on its encoder and a human in the loop.

The library behind the workflow's scripts. Sub-packages follow the stages of the workflow:
`data` (surveys, crops, splits), `models`, `training`, `evaluation` and `plots`.
"""

__version__ = "0.1.0"

CLASSES = ("elliptical", "edge_on", "spiral", "other")
