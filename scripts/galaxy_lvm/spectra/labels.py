"""What can be estimated of a star: names, units, scales and ranges of the labels."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Label:
    """One label, as its column in a catalogue has it.

    Attributes
    ----------
    text
        Its name in tables and figures.
    unit
        K or dex.
    centre, width
        What a network predicts in: about those of stars of types F to M, fixed, so that one head
        serves simulated and real stars. Not fitted to any sample.
    lowest, highest
        Values beyond are no star's: catalogues write -9999 and the like for what they lack.
    """

    text: str
    unit: str
    centre: float
    width: float
    lowest: float
    highest: float


_ELEMENTS = ("C", "N", "O", "Na", "Mg", "Al", "Si", "P", "S", "K", "Ca", "Ti", "V", "Cr", "Mn",
             "Co", "Ni", "Cu", "Ce", "Nd")  # fmt: skip
LABELS = {
    "teff": Label("Teff", "K", 4900.0, 1000.0, 500.0, 100000.0),
    "logg": Label("log g", "dex", 2.7, 1.3, -2.0, 10.0),
    "fe_h": Label("[Fe/H]", "dex", -0.5, 0.6, -8.0, 2.0),
    "alpha_m": Label("[alpha/M]", "dex", 0.1, 0.15, -2.0, 2.0),
    **{f"{e.lower()}_fe": Label(f"[{e}/Fe]", "dex", 0.0, 0.2, -4.0, 4.0) for e in _ELEMENTS},
}
# Every network has these; abundances of single elements are added where they are asked for.
BASIC = ("teff", "logg", "fe_h", "alpha_m")
UNITS = {name: label.unit for name, label in LABELS.items()}
NAMES = {name: label.text for name, label in LABELS.items()}
