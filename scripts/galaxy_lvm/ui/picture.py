"""Figure 9: the page and the notebook's widget, as a browser of this machine shows them."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.hitl.store import NEGATIVE, POSITIVE
from galaxy_lvm.report import style
from galaxy_lvm.ui.app import create_app
from galaxy_lvm.ui.labelling import Labelling
from galaxy_lvm.ui.security import Access
from galaxy_lvm.ui.serve import server_of
from galaxy_lvm.ui.widget import LabelWidget
from galaxy_lvm.ui.workplace import Workplace

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_ANNOTATOR = "Ada"
_PER_ROUND, _EXAMPLES, _LABELLED = 12, 5, 7
_WINDOW, _CELL = (1280, 900), (1280, 760)
# What the page may wait for in its own time; loading does not count.
_PAGE_MS = 6000
_MODEL_S, _BROWSER_S = 120.0, 120.0
_NOTEBOOK = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 1.2rem; background: #fff; font: 14px/1.5 ui-monospace, monospace; }}
.cell {{ display: grid; grid-template-columns: 5rem 1fr; gap: .4rem .6rem; }}
pre {{ margin: 0; padding: .5rem; background: #f5f5f5; border: 1px solid #ddd; }}
{css}</style>
<div class="cell"><span>In [2]:</span><pre>from galaxy_lvm.ui.notebook import label_run

page = label_run("{run}", "{target}")
page</pre><span>Out[2]:</span><div id="out"></div></div>
<script type="application/json" id="values">{values}</script>
<script type="module">
const values = JSON.parse(document.getElementById("values").textContent);
const model = {{ get: (name) => values[name], on() {{}}, off() {{}}, send() {{}} }};
const {{ default: widget }} = await import("data:text/javascript;base64,{esm}");
widget.render({{ model, el: document.getElementById("out") }});
</script>"""


def browser() -> str:
    """Return the path of a browser that can draw without a display.

    Raises
    ------
    DataError
        If none is installed.
    """
    for name in _BROWSERS:
        if found := shutil.which(name):
            return found
    raise DataError("no browser on this machine (looked for chromium and google-chrome)")


def interfaces(place: Workplace, run: str) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures (H, W, 3) uint8 of the page and of the widget, a round half labelled.

    A person who knows the truth, where the run says it, gives five examples and labels a round and
    a half.

    Parameters
    ----------
    place
        Galaxies.
    run
        Its name, as the notebook's cell says it.

    Raises
    ------
    DataError
        If there is no browser, or it draws nothing.
    """
    program = browser()
    with tempfile.TemporaryDirectory() as folder:
        labelling = Labelling(place, Path(folder) / "labels.sqlite", _PER_ROUND).start()
        try:
            _label(labelling)
            with _served(labelling) as address:
                page = _drawn(program, address, _WINDOW, Path(folder))
            cell = Path(folder) / "notebook.html"
            cell.write_text(_cell(labelling, run), encoding="utf-8")
            widget = _drawn(program, cell.as_uri(), _CELL, Path(folder))
        finally:
            labelling.close()
    return page, widget


def _label(labelling: Labelling) -> None:
    """Label a round and a half by the truth; without one, be asked at random."""
    truth = labelling.place.truth
    if truth is None or not truth.any():
        labelling.choose(_ANNOTATOR, "random", 0.5, _PER_ROUND)
        labelling.model.wait(_MODEL_S)
        labelling.next_round(_ANNOTATOR)
        return
    pool = labelling.pool
    labelling.prompt(_ANNOTATOR, pool.ids_of(np.flatnonzero(truth)[:_EXAMPLES]), POSITIVE)
    for n_labelled in (_PER_ROUND, _LABELLED):
        if not labelling.model.wait(_MODEL_S):
            raise DataError(f"the model was not made within {_MODEL_S:g} s")
        labelling.next_round(_ANNOTATOR)
        asked = labelling.state(_ANNOTATOR)["galaxies"]
        for galaxy in asked[:n_labelled]:
            value = POSITIVE if truth[galaxy["row"]] else NEGATIVE
            labelling.label(_ANNOTATOR, galaxy["id"], value)
    labelling.model.wait(_MODEL_S)


@contextmanager
def _served(labelling: Labelling) -> Iterator[str]:
    """Serve the page on a free port of this machine alone; yield an address that signs in."""
    access = Access("127.0.0.1", 0, base64.b32encode(os.urandom(20)).decode(), os.urandom(32))
    server = server_of(create_app(labelling, access, _ANNOTATOR), access)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield f"http://{access.host}:{server.effective_port}/login?token={access.token}"
    finally:
        server.close()
        server.task_dispatcher.shutdown()


def _cell(labelling: Labelling, run: str) -> str:
    """Return a notebook's cell with the widget in it, as HTML that needs nothing else."""
    widget = LabelWidget(labelling, _ANNOTATOR)
    names = ("state", "pictures", "looked", "alarm", "waiting", "about")
    values = json.dumps({name: getattr(widget, name) for name in names}).replace("<", "\\u003c")
    static = Path(__file__).parent / "static"
    esm = base64.b64encode((static / "widget.js").read_bytes()).decode("ascii")
    css = (static / "widget.css").read_text(encoding="utf-8")
    return _NOTEBOOK.format(
        css=css, run=run, target=labelling.place.name, values=values, esm=esm
    )  # fmt: skip


def _drawn(program: str, address: str, size: tuple[int, int], folder: Path) -> np.ndarray:
    picture = folder / "picture.png"
    picture.unlink(missing_ok=True)
    flags = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        flags.append("--no-sandbox")  # for root there is none
    flags += [f"--user-data-dir={folder / 'profile'}", f"--virtual-time-budget={_PAGE_MS}",
              f"--window-size={size[0]},{size[1]}", f"--screenshot={picture}"]  # fmt: skip
    try:
        subprocess.run(
            [program, *flags, address], capture_output=True, timeout=_BROWSER_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise DataError(f"{program} could not draw the page ({error})") from error
    if not picture.is_file():
        raise DataError(f"{program} drew nothing")
    with Image.open(picture) as image:
        return np.asarray(image.convert("RGB"))


def draw_interfaces(pictures: list[tuple[str, np.ndarray]]) -> Figure:
    """Return figure 9: pictures (H, W, 3) below their titles."""
    heights = [image.shape[0] / image.shape[1] for _, image in pictures]
    height_inch = style.PAGE_WIDTH_INCH * sum(heights) + 0.4 * len(pictures)
    figure, axes = style.figure(
        style.PAGE_WIDTH_INCH,
        height_inch,
        nrows=len(pictures),
        squeeze=False,
        height_ratios=heights,
    )
    axes = axes[:, 0]
    for axis, (title, image) in zip(axes, pictures, strict=True):
        axis.imshow(image, interpolation="lanczos")
        axis.set_title(title, loc="left")
        axis.set_axis_off()
    return figure
