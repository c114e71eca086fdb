"""The simulated galaxies once more without noise: what a restoration should arrive at."""

from collections.abc import Sequence

import numpy as np

from galaxy_lvm.core.config.survey import Mock
from galaxy_lvm.core.errors import DataError
from galaxy_lvm.simulation.rare import kinds_of
from galaxy_lvm.simulation.survey import class_labels, simulate_cutout
from galaxy_lvm.survey.colour import grz_to_rgb
from galaxy_lvm.survey.crops import crop_image

_PREFIX = "mock_"


def noise_free_crops(
    ids: Sequence[str], boxes: np.ndarray, settings: Mock, seed: int, side_pix: int
) -> np.ndarray:
    """Return crops of simulated galaxies without the noise of sky and source.

    Parameters
    ----------
    ids
        Identifiers of galaxies of this survey, `mock_` and their number.
    boxes
        int (N, 4): x0, y0, x1, y1 in pixels of the cutout, the boxes of their noisy crops.
    settings, seed
        What the survey was simulated with.
    side_pix
        Side of the crops.

    Returns
    -------
    ndarray
        uint8 (N, side_pix, side_pix, 3), colours as those of the noisy crops.

    Raises
    ------
    DataError
        If an identifier is none of this survey.
    """
    kinds = kinds_of(
        class_labels(settings, seed), settings.distant_red_share, settings.n_lenses, seed
    )
    crops = []
    for name, box in zip(ids, boxes, strict=True):
        number = name.removeprefix(_PREFIX)
        if not (name.startswith(_PREFIX) and number.isdecimal() and int(number) < len(kinds)):
            raise DataError(
                f"galaxy {name!r} is none of the {len(kinds)} of the simulated survey: crops and "
                "config are not of the same run; make the crops again"
            )
        index = int(number)
        frame, _ = simulate_cutout(index, kinds[index], settings, seed, noise=False)
        colours = grz_to_rgb(frame[None])[0]
        crops.append(crop_image(colours, tuple(int(end) for end in box), side_pix))
    return np.stack(crops)
