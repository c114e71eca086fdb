"""The page as a Flask application: who asks, what is answered, and errors in words."""

import logging
from pathlib import Path

from flask import Flask, Response, abort, jsonify, redirect, render_template, request, session
from flask import url_for as url
from werkzeug.exceptions import HTTPException

from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.hitl.store import VALUES
from galaxy_lvm.ui.asked import field_of
from galaxy_lvm.ui.browse_routes import add_browsing
from galaxy_lvm.ui.choices import MOST_PER_ROUND
from galaxy_lvm.ui.exchange_routes import add_exchange
from galaxy_lvm.ui.images import Images
from galaxy_lvm.ui.labelling import Labelling, Unfinished
from galaxy_lvm.ui.names import annotator_name
from galaxy_lvm.ui.security import Access, Tries, csrf_token, guard, is_token
from galaxy_lvm.ui.sentences import rules_in_words

log = logging.getLogger("galaxy_lvm.ui")

# Images never change while a pool has this fingerprint, which is a part of their address.
_FOREVER = "private, max-age=86400, immutable"


def create_app(labelling: Labelling, access: Access, owner: str = "") -> Flask:
    """Return the page.

    Parameters
    ----------
    labelling
        What it shows and keeps.
    access
        Who may use it.
    owner
        Name of the annotator who comes by the printed link; asked for where it is none.
    """
    app = Flask("galaxy_lvm.ui", root_path=str(Path(__file__).parent))
    guard(app, access)
    app.extensions["labelling"], app.extensions["images"] = labelling, Images(labelling.place)
    _say_errors(app)
    _add_login(app, access, owner)
    _add_page(app, labelling)
    _add_images(app, labelling)
    _add_round(app, labelling)
    add_browsing(app, labelling)
    add_exchange(app, labelling)
    return app


def who() -> str:
    """Return the annotator who asks."""
    return session["annotator"]


def _say_errors(app: Flask) -> None:
    """Answer every error with its sentence."""

    def answer(sentence: str, status: int) -> tuple[Response | str, int]:
        if request.path.startswith("/api/"):
            return jsonify(error=sentence), status
        return render_template("problem.html", sentence=sentence), status

    @app.errorhandler(Unfinished)
    def unfinished(error: Unfinished) -> tuple[Response | str, int]:
        return answer(str(error), 409)

    @app.errorhandler(DataError)
    @app.errorhandler(ConfigError)
    def refused(error: ValueError) -> tuple[Response | str, int]:
        # What the disk did not take may be taken later: the page tries again.
        again = "nothing of this call was kept" in str(error)
        log.warning("%s %s: %s", request.method, request.path, error)
        return answer(str(error), 503 if again else 422)

    @app.errorhandler(HTTPException)
    def other(error: HTTPException) -> tuple[Response | str, int]:
        return answer(error.description or error.name, error.code or 500)

    @app.errorhandler(Exception)
    def unforeseen(error: Exception) -> tuple[Response | str, int]:
        log.exception("%s %s", request.method, request.path)
        return answer(f"an error of the server, {type(error).__name__}; its log says more", 500)


def _add_login(app: Flask, access: Access, owner: str) -> None:
    tries = Tries()

    @app.route("/login", methods=["GET", "POST"])
    def login() -> Response | str | tuple[str, int]:
        given = request.form.get("token", request.args.get("token", ""))
        name = request.form.get("name", owner if request.method == "GET" else "")
        if request.method == "GET" and not given:
            return render_template("login.html", name=session.get("annotator", ""), sentence="")
        address = request.remote_addr or ""
        wait_s = tries.wait_s(address)
        if wait_s:
            abort(429, f"too many wrong tokens; try again in {wait_s:.0f} seconds")
        knows = is_token(access, given) or (not given and "annotator" in session)
        if not knows:
            tries.failed(address)
            sentence = "This is not the token; the terminal that started the page shows it."
            return render_template("login.html", name=name, sentence=sentence), 403
        if not name:
            return render_template("login.html", name="", sentence="", token=given)
        try:
            session["annotator"] = annotator_name(name)
        except DataError as error:
            return render_template("login.html", name="", sentence=str(error), token=given), 422
        session.permanent = True
        csrf_token()
        # The token leaves the address bar at once.
        return redirect(url("page"))


def _add_page(app: Flask, labelling: Labelling) -> None:
    place = labelling.place

    @app.get("/")
    def page() -> str:
        return render_template(
            "page.html",
            annotator=who(),
            target=place.name,
            csrf=csrf_token(),
            pool=labelling.pool.fingerprint["values"],
            rules=rules_in_words(),
            classes=place.classes(),
            most=MOST_PER_ROUND,
            has_cutouts=app.extensions["images"].has_cutouts,
            store=labelling.store.path,
            scales=app.extensions["images"].stretch.band_scales,
        )


def _add_images(app: Flask, labelling: Labelling) -> None:
    images: Images = app.extensions["images"]

    def check(pool: str) -> None:
        if pool != labelling.pool.fingerprint["values"]:
            abort(404, "the image is of other features than the page is served with; load it again")

    @app.get("/crop/<pool>/<int:row>.png")
    def crop(pool: str, row: int) -> Response:
        check(pool)
        return Response(images.png(row), mimetype="image/png", headers={"Cache-Control": _FOREVER})

    @app.get("/api/cutout/<pool>/<int:row>")
    def cutout(pool: str, row: int) -> Response:
        check(pool)
        image, bands = images.cutout(row)
        about = {
            "X-Shape": ",".join(map(str, image.shape)),
            "X-Bands": ",".join(bands),
            "Cache-Control": _FOREVER,
        }
        return Response(image.tobytes(), mimetype="application/octet-stream", headers=about)


def _add_round(app: Flask, labelling: Labelling) -> None:
    @app.get("/api/state")
    def state() -> Response:
        return jsonify(labelling.state(who()))

    @app.get("/api/status")
    def status() -> Response:
        return jsonify(labelling.status(who()))

    @app.post("/api/label")
    def label() -> Response:
        value = field_of("value")
        if value not in VALUES:
            raise DataError(f"{value!r} is no label; there are {', '.join(VALUES)}")
        last = labelling.label(who(), field_of("id"), value)
        return jsonify(last=last, **labelling.asked_next(who()))

    @app.post("/api/undo")
    def undo() -> Response:
        return jsonify(id=labelling.undo(who(), field_of("number", int)), **labelling.state(who()))

    @app.post("/api/next")
    def next_round() -> Response:
        waiting = labelling.next_round(who(), field_of("rest"))
        return jsonify(waiting=waiting, **labelling.state(who()))

    @app.post("/api/choice")
    def choice() -> Response:
        labelling.choose(who(), field_of("rule"), field_of("alpha", float), field_of("n", int))
        return jsonify(labelling.asked_next(who()))

    @app.post("/api/prompts")
    def prompts() -> Response:
        """Label galaxies that were not asked about: examples to begin with."""
        ids = [line.strip() for line in field_of("ids").replace(",", "\n").splitlines()]
        ids = [name for name in ids if name]
        if not ids:
            raise DataError("no id was given; write one in each line")
        n_new = labelling.prompt(who(), ids, field_of("value"))
        return jsonify(n_given=len(ids), n_new=n_new)
