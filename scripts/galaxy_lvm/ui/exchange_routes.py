"""Routes by which labels leave and come."""

from flask import Flask, Response, abort

from galaxy_lvm.ui.exchange import SUFFIXES, exported, label_table
from galaxy_lvm.ui.labelling import Labelling

_KINDS = {"csv": "text/csv", "fits": "application/fits", "parquet": "application/octet-stream"}


def add_exchange(app: Flask, labelling: Labelling) -> None:
    """Add them to the application."""

    @app.get("/export/labels.<suffix>")
    def export_labels(suffix: str) -> Response:
        if suffix not in SUFFIXES:
            abort(404, f"labels are exported as {', '.join(SUFFIXES)}")
        content = exported(label_table(labelling), suffix)
        name = f'attachment; filename="labels.{suffix}"'
        headers = {"Content-Disposition": name}
        return Response(content, mimetype=_KINDS[suffix], headers=headers)
