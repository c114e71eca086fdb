"""The page's round as a widget of a notebook: the same labels, keys, rules and export.

What the browser sends is answered here; a label has its tick when it is on disk.
"""

import base64
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import anywidget
import pandas as pd
import traitlets

from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.core.tables import save_table
from galaxy_lvm.hitl.store import POSITIVE
from galaxy_lvm.survey.colour import to_rgb
from galaxy_lvm.ui.browse import examples_of_class
from galaxy_lvm.ui.exchange import SUFFIXES, exported, label_table, write_training_set
from galaxy_lvm.ui.images import Images, png_of
from galaxy_lvm.ui.labelling import Labelling
from galaxy_lvm.ui.sentences import rules_in_words

_STATIC = Path(__file__).parent / "static"


class LabelWidget(anywidget.AnyWidget):
    """A round of galaxies to label, in a notebook. Show it as the last line of a cell.

    Parameters
    ----------
    labelling
        What it shows and keeps; closed with the widget.
    annotator
        Who labels.

    Examples
    --------
    >>> page = galaxy_lvm.ui.notebook.label_run("demo", "spiral")              # doctest: +SKIP
    >>> page                                                                   # doctest: +SKIP
    >>> page.export("labels.csv")                                              # doctest: +SKIP
    """

    _esm = _STATIC / "widget.js"
    _css = _STATIC / "widget.css"
    state = traitlets.Dict().tag(sync=True)
    pictures = traitlets.Dict().tag(sync=True)
    looked = traitlets.Dict().tag(sync=True)
    alarm = traitlets.Unicode().tag(sync=True)
    waiting = traitlets.Unicode().tag(sync=True)
    about = traitlets.Dict().tag(sync=True)

    def __init__(self, labelling: Labelling, annotator: str) -> None:
        super().__init__()
        self.labelling, self.annotator = labelling, annotator
        self._images = Images(labelling.place)
        self._calls: dict[str, Callable[[Mapping[str, Any]], None]] = {
            "state": lambda said: None,
            "label": lambda said: self._label(said["id"], said["value"]),
            "undo": lambda said: self.labelling.undo(self.annotator, said["number"]),
            "next": lambda said: self.next_round(said["rest"]),
            "choose": lambda said: self.choose(said["rule"], said["alpha"], said["n"]),
            "look": lambda said: self._look(said["row"]),
        }
        self.about = {"target": labelling.place.name, "rules": rules_in_words()}
        self.on_msg(self._answer)
        self.refresh()

    def _answer(self, widget: object, said: Mapping[str, Any], buffers: object) -> None:
        """Do what the browser asks for; what cannot be done is shown there."""
        self.alarm = ""  # so that the same words twice are told twice
        try:
            self._calls[said["kind"]](said)
        except (DataError, ConfigError) as error:
            self.alarm = str(error)
        except (KeyError, TypeError) as error:
            self.alarm = f"the widget and this version do not fit ({error!r}); run the cell again"
        self.refresh()

    def refresh(self) -> None:
        """Show what stands in the store now."""
        state = self.labelling.state(self.annotator)
        rows = {galaxy["row"]: galaxy["id"] for galaxy in state["galaxies"]}
        if set(rows.values()) != set(self.pictures):
            self.pictures = {name: self._picture(row) for row, name in rows.items()}
        self.state = state

    def _picture(self, row: int) -> str:
        try:
            return _address(self._images.png(row))
        except DataError:
            return ""  # the tile says that it cannot be read, and the round goes on

    def _look(self, row: int) -> None:
        image, bands = self._images.cutout(row)
        colours = image if bands[0] == "red" else to_rgb(image[None], self._images.stretch)[0]
        self.looked = {"row": row, "picture": _address(png_of(colours))}

    # What a cell can call as well

    def _label(self, name: str, value: str) -> None:
        self.labelling.label(self.annotator, name, value)

    def label(self, ids: Sequence[str], value: str = POSITIVE) -> int:
        """Label galaxies, asked about or not; return how many labels are new."""
        n_new = self.labelling.prompt(self.annotator, list(ids), value)
        self.refresh()
        return n_new

    def examples(self, n: int = 5, of_class: str | None = None) -> int:
        """Label n galaxies of a class of the run positive, drawn at random, to begin with."""
        name = of_class or self.labelling.place.name
        n_new = examples_of_class(self.labelling, self.annotator, name, n)
        self.refresh()
        return n_new

    def next_round(self, rest: str = "") -> None:
        """Begin the next round; `rest` as for `Labelling.next_round`."""
        self.waiting = self.labelling.next_round(self.annotator, rest)
        self.refresh()

    def choose(self, rule: str, alpha: float = 0.5, n: int | None = None) -> None:
        """Say by which rule galaxies are chosen, from the next round on."""
        wanted = n or self.labelling.choice(self.annotator)["n"]
        self.labelling.choose(self.annotator, rule, alpha, wanted)
        self.refresh()

    def labels(self) -> pd.DataFrame:
        """Return all labels: `ui.exchange.label_table`."""
        return label_table(self.labelling)

    def export(self, path: str | Path) -> pd.DataFrame:
        """Write all labels as CSV, FITS table or parquet, by the file's name; return them.

        Raises
        ------
        DataError
            If the name ends otherwise.
        """
        path, table = Path(path), self.labels()
        if path.suffix[1:] not in SUFFIXES:
            raise DataError(f"{path}: labels are exported as {', '.join(SUFFIXES)}")
        if path.suffix == ".fits":
            path.write_bytes(exported(table, "fits"))
        else:
            save_table(path, table)
        return table

    def training_set(self, folder: str | Path = ".") -> dict[str, Any]:
        """Write images and labels for the workflow: `ui.exchange.write_training_set`."""
        return write_training_set(self.labelling, self._images, Path(folder))

    def close(self) -> None:
        """Close the widget and the label store; nothing is lost without it."""
        super().close()
        self._images.close()
        self.labelling.close()


def _address(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
