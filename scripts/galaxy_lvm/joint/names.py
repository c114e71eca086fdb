"""Names of what is estimated of a galaxy, of what looks at it, and of its columns."""

from collections.abc import Mapping

from galaxy_lvm.survey.store import BANDS

MEASURED = tuple(f"measured_mag_{band}" for band in BANDS)

# Numbers that are regressed, and classes, which are regressed as 0 and 1.
NUMBERS = ("redshift", "log_mass_to_light_r")
CLASSES = ("star_forming", "smooth")
TARGETS = (*NUMBERS, *CLASSES)
TARGET_NAMES = {
    "redshift": "redshift",
    "log_mass_to_light_r": "log10 of mass to light in r",
    "star_forming": "star-forming or not",
    "smooth": "smooth or not",
}
UNITS = {"redshift": "", "log_mass_to_light_r": "dex", "star_forming": "", "smooth": ""}

# What each row of the table looks at.
MODELS: Mapping[str, tuple[str, ...]] = {
    "photometry": ("photometry",),
    "image": ("image",),
    "spectrum": ("spectrum",),
    "image_aligned": ("image_aligned",),
    "spectrum_aligned": ("spectrum_aligned",),
    "joint_aligned": ("image_aligned", "spectrum_aligned"),
    "joint": ("image", "spectrum"),
    "all": ("image", "spectrum", "photometry"),
}
