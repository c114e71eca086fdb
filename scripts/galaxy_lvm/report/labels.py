"""Names and colours of tasks, strategies and models, the same in every figure and table."""

from galaxy_lvm.report.colours import COLOURS

TASK_NAMES = {
    "classification": "Classification",
    "restoration": "Restoration",
    "reconstruction": "Reconstruction",
}
TASK_COLOURS = {
    "classification": COLOURS["blue"],
    "restoration": COLOURS["orange"],
    "reconstruction": COLOURS["green"],
}
# Hatches tell the tasks apart in a black-and-white print.
TASK_HATCHES = {"classification": "", "restoration": "////", "reconstruction": "...."}
STRATEGY_NAMES = {
    "pre_train": "Pre_train",
    "multi_uniform": "Multi_uniform",
    "multi_active": "Multi_active",
    "from_scratch": "From_scratch",
}
OBJECTIVE_NAMES = {
    "reconstruct": "Reconstruct",
    "masked": "Masked",
    "contrastive": "Contrastive",
    "hybrid": "Masked and contrastive",
    "momentum": "Momentum contrast",
    "byol": "BYOL",
    "vicreg": "VICReg",
    "distilled": "Distilled and contrastive",
}


def variant_label(variant: str) -> str:
    """Return a readable name of a pretraining variant such as `masked_noskips`."""
    objective, _, skips = variant.partition("_")
    if objective not in OBJECTIVE_NAMES:
        return {"random": "Untrained encoder", "given": "Weights given"}.get(variant, variant)
    return f"{OBJECTIVE_NAMES[objective]}, {'with' if skips == 'skips' else 'no'} skips"
