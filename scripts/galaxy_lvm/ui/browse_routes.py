"""Routes of the page beside the round: labelled galaxies, similar ones, progress, examples."""

import numpy as np
from flask import Flask, Response, jsonify, render_template, request, session

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.core.seeds import derive_seed
from galaxy_lvm.hitl.store import POSITIVE, VALUES
from galaxy_lvm.ui.asked import field_of
from galaxy_lvm.ui.browse import Neighbours, ahead, gallery, like
from galaxy_lvm.ui.charts import bar_chart, line_chart
from galaxy_lvm.ui.labelling import Labelling
from galaxy_lvm.ui.progress import progress_of

MOST_BY_CLASS = 200


def add_browsing(app: Flask, labelling: Labelling) -> None:
    """Add them to the application."""
    neighbours: list[Neighbours] = []

    @app.get("/api/ahead")
    def look_ahead() -> Response:
        return jsonify(rows=ahead(labelling, session["annotator"]))

    @app.get("/api/gallery")
    def labelled() -> Response:
        asked = request.args
        page = asked.get("page", "0")
        if not page.isascii() or not page.isdigit():
            raise DataError(f"page {page!r} is no number")
        return jsonify(
            gallery(
                labelling, session["annotator"], asked.get("value", ""),
                asked.get("annotator", ""), asked.get("text", ""), int(page),
            )
        )  # fmt: skip

    @app.get("/api/like")
    def similar() -> Response:
        row = request.args.get("row", "")
        if not row.isascii() or not row.isdigit():
            raise DataError(f"row {row!r} is no number")
        if not neighbours:
            neighbours.append(Neighbours(labelling.pool, labelling.learner.whitening))
        return jsonify(galaxies=like(labelling, neighbours[0], int(row), session["annotator"]))

    @app.get("/progress")
    def progress() -> str:
        return render_template("progress.html", **_shown(labelling))

    _add_examples(app, labelling)


def _add_examples(app: Flask, labelling: Labelling) -> None:
    @app.post("/api/settle")
    def settle() -> Response:
        value = field_of("value")
        if value not in VALUES:
            raise DataError(f"{value!r} is no label; there are {', '.join(VALUES)}")
        labelling.settle(session["annotator"], field_of("id"), value)
        return jsonify(settled=True)

    @app.post("/api/class")
    def by_class() -> Response:
        """Label galaxies of a class of the run, drawn at random, as examples."""
        return jsonify(n_new=examples_of_class(labelling, field_of("name"), field_of("n", int)))


def examples_of_class(labelling: Labelling, name: str, n: int) -> int:
    """Label n galaxies of a class positive that have no label yet; return how many there were.

    Raises
    ------
    DataError
        If the class is unknown, has no galaxy left, or n is not allowed.
    """
    if not 1 <= n <= MOST_BY_CLASS:
        raise DataError(f"{n} examples, expected 1 to {MOST_BY_CLASS}")
    rows = labelling.place.rows_of_class(name)
    known = labelling.pool.known_rows(labelling.current()["id"].unique())
    rows = rows[labelling.learner.usable[rows] & ~np.isin(rows, known)]
    if not len(rows):
        classes = ", ".join(labelling.place.classes()) or "none"
        raise DataError(f"no galaxy of class {name!r} is left without a label; classes: {classes}")
    rng = np.random.default_rng(derive_seed(labelling.settings.seed, "examples", name, len(known)))
    drawn = rng.permutation(rows)[:n]
    ids = labelling.pool.ids_of(drawn)
    return labelling.prompt(session["annotator"], ids, POSITIVE)


def _shown(labelling: Labelling) -> dict:
    model = labelling.model.latest
    about = progress_of(
        labelling.suggestions(),
        labelling.current(),
        model.scores.values if model else None,
        dict(labelling.auprs),
    )
    charts = {"found": line_chart(about["curve"], "galaxies labelled", "positives")}
    if about["precision"]:
        charts["precision"] = line_chart(about["precision"], "round", "precision", 1.0)
    if about["histogram"]:
        charts["histogram"] = bar_chart(about["histogram"], "score", "galaxies")
    if about["auprs"]:
        charts["auprs"] = line_chart(about["auprs"], "labels", "average precision", 1.0)
    return {**about, "charts": charts}
