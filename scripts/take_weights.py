"""Take weights that were pretrained elsewhere as the run's LVM."""

from dataclasses import asdict

from galaxy_lvm.core.config import section
from galaxy_lvm.core.config.training import LvmShape
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.logs import job_log, log
from galaxy_lvm.lvm.model import build_config
from galaxy_lvm.lvm.weights import load_lvm, read_card, save_lvm

# The decoder's and the training's: they change no weight of the encoder.
FREE = ("skip_connections", "drop_path")
# Written anew with the weights.
OWN = ("architecture", "parts", "precision", "n_parameters")


def main(source: str, weights: str, shape: LvmShape) -> None:
    """Copy the weights, widened to float32, and their card; a missing decoder starts at random.

    Parameters
    ----------
    source
        Weights (safetensors), their card beside them.
    weights
        File to write, its card beside it.
    shape
        The network that the config describes.

    Raises
    ------
    DataError
        If the weights are of another shape, or they and their card do not belong together.
    """
    lvm = load_lvm(source)
    found, wanted = asdict(lvm.config), asdict(build_config(shape))
    different = [key for key in wanted if key not in FREE and found[key] != wanted[key]]
    if different:
        key = different[0]
        raise DataError(
            f"{source}: {key} is {found[key]}, in the config lvm.{key} is {wanted[key]}; leave the "
            "key out, or name weights of that shape in lvm.weights"
        )
    card = {key: value for key, value in read_card(source).items() if key not in OWN}
    save_lvm(weights, lvm, {**card, "taken_from": str(source)})
    log.info("%s taken from %s", weights, source)


if __name__ == "__main__":
    with job_log(snakemake.log[0]):  # noqa: F821
        main(
            source=snakemake.input.weights,  # noqa: F821
            weights=snakemake.output.weights,  # noqa: F821
            shape=section(LvmShape, snakemake.params.lvm, "lvm"),  # noqa: F821
        )
