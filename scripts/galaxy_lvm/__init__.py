"""Galaxy-image framework: a large vision model, tasks on its encoder and a human in the loop.

The library behind the workflow's scripts, in chapters as the rules are: `core`, `report`, `survey`,
`simulation`, `lvm`, `training`, then `features`, `multitask`, `fewshot`, `lenses` and `hitl`. A
chapter imports from those before it only (docs/architecture.md).
"""

__version__ = "0.1.0"
