"""Routes by which labels leave and come."""

import tempfile
from pathlib import Path

from flask import Flask, Response, abort, jsonify, request, session
from werkzeug.utils import secure_filename

from galaxy_lvm.core.errors import DataError
from galaxy_lvm.hitl.store import VALUES
from galaxy_lvm.ui.exchange import SUFFIXES, exported, label_table, write_training_set
from galaxy_lvm.ui.labelling import Labelling
from galaxy_lvm.ui.labels_made_elsewhere import Given, read_labels, words_of

_KINDS = {"csv": "text/csv", "fits": "application/fits", "parquet": "application/octet-stream"}
_SHOWN_PROBLEMS = 50


def add_exchange(app: Flask, labelling: Labelling) -> None:
    """Add them to the application."""

    @app.get("/export/labels.<suffix>")
    def export_labels(suffix: str) -> Response:
        if suffix not in SUFFIXES:
            abort(404, f"labels are exported as {', '.join(SUFFIXES)}")
        content = exported(label_table(labelling), suffix)
        headers = {"Content-Disposition": f'attachment; filename="labels.{suffix}"'}
        return Response(content, mimetype=_KINDS[suffix], headers=headers)

    @app.post("/api/training")
    def training() -> Response:
        root = Path(labelling.store.path).parent
        return jsonify(write_training_set(labelling, app.extensions["images"], root))

    @app.post("/api/table")
    def table() -> Response:
        given = _uploaded(labelling)
        _leave_out_unusable(given, labelling)
        n_new, n_known = labelling.take_over(given.rows, given.times)
        return jsonify(
            n_rows=given.n_rows,
            n_new=n_new,
            n_known=n_known,
            n_annotators=len({who for _, _, who in given.rows}),
            n_refused=len(given.problems),
            problems=given.problems[:_SHOWN_PROBLEMS],
        )


def _uploaded(labelling: Labelling) -> Given:
    """Return the labels of the table that was sent."""
    file, asked = request.files.get("table"), request.form
    if file is None or not file.filename:
        raise DataError("no table was sent; choose a file")
    value = asked.get("value", "")
    if value not in VALUES:
        raise DataError(f"{value!r} is no label; there are {', '.join(VALUES)}")
    words = words_of(asked.get("positive", ""), asked.get("negative", ""), labelling.place.name)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / (secure_filename(file.filename) or "table")
        file.save(path)
        try:
            return read_labels(
                path, labelling.pool, labelling.place.catalogue, words, value,
                session["annotator"],
            )  # fmt: skip
        except DataError as error:
            # The user knows the file's name, and not where it lies here for a moment.
            raise DataError(str(error).replace(f"{folder}/", "")) from error


def _leave_out_unusable(given: Given, labelling: Labelling) -> None:
    """Move rows of galaxies whose features are not finite to the problems: they cannot teach."""
    usable = labelling.learner.usable[labelling.pool.rows_of([name for name, _, _ in given.rows])]
    lost = [row for row, good in zip(given.rows, usable, strict=True) if not good]
    given.problems += [f"galaxy {name!r}: its features are not finite" for name, _, _ in lost]
    given.rows = [row for row, good in zip(given.rows, usable, strict=True) if good]
    given.times = [time for time, good in zip(given.times, usable, strict=True) if good]
