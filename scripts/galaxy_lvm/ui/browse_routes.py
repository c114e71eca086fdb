"""Routes of the page beside the round: labelled galaxies, similar ones, progress, examples."""

from flask import Flask, Response, jsonify, render_template, request, session

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.hitl.store import VALUES
from galaxy_lvm.ui.asked import field_of
from galaxy_lvm.ui.browse import Neighbours, ahead, examples_of_class, gallery, like
from galaxy_lvm.ui.charts import bar_chart, line_chart
from galaxy_lvm.ui.labelling import Labelling
from galaxy_lvm.ui.progress import progress_of


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
            neighbours.append(Neighbours(labelling.learner.trainer.components))
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
        who, name, n = session["annotator"], field_of("name"), field_of("n", int)
        return jsonify(n_new=examples_of_class(labelling, who, name, n))


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
