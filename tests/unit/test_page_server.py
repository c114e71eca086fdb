"""The labelling page's server: who may come in, what is refused, and that labels are on disk."""

import re
import socket
import sqlite3
import threading

import numpy as np
import pytest
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.hitl.store import LabelStore
from galaxy_lvm.ui.__main__ import main
from galaxy_lvm.ui.app import create_app
from galaxy_lvm.ui.labelling import Labelling
from galaxy_lvm.ui.names import annotator_name
from galaxy_lvm.ui.security import TRIES, Access, Tries, access_of
from galaxy_lvm.ui.serve import refuse_used_port
from galaxy_lvm.ui.workplace import open_run
from made_run import make_run

TOKEN = "a long enough token"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("results"), n_galaxies=30)


@pytest.fixture
def labelling(run, tmp_path):
    made = Labelling(open_run(str(run), "spiral"), tmp_path / "labels.sqlite", 4).start()
    assert made.model.wait(300)
    yield made
    made.close()


@pytest.fixture
def app(labelling):
    return create_app(labelling, Access("127.0.0.1", 8765, TOKEN, b"k" * 32), "ann")


class Browser:
    """A client that keeps its cookie and the secret of its page, as a browser does."""

    def __init__(self, app, name="ann", host="127.0.0.1:8765"):
        self.client, self.host = app.test_client(), f"http://{host}"
        answer = self.client.post("/login", data={"token": TOKEN, "name": name}, base_url=self.host)
        assert answer.status_code == 302 and answer.headers["Location"] == "/"
        page = self.client.get("/", base_url=self.host).text
        self.csrf = re.search(r'data-csrf="([^"]+)"', page)[1]

    def get(self, path):
        return self.client.get(path, base_url=self.host)

    def post(self, path, body=None, **headers):
        sent = {"X-CSRF-Token": self.csrf, "Origin": self.host, **headers}
        return self.client.post(path, json=body or {}, headers=sent, base_url=self.host)

    def begin(self, labelling, n=3):
        """Give examples and be asked."""
        self.post("/api/class", {"name": "spiral", "n": n})
        assert labelling.model.wait(300)
        return self.post("/api/next", {"rest": ""}).json


@pytest.fixture
def browser(app):
    return Browser(app)


def test_the_printed_link_brings_one_in_and_the_token_leaves_the_address(app):
    client = app.test_client()
    assert client.get("/", base_url="http://127.0.0.1:8765").headers["Location"] == "/login"
    link = client.get(f"/login?token={TOKEN}", base_url="http://127.0.0.1:8765")
    assert link.headers["Location"] == "/" and TOKEN not in str(link.headers)
    page = client.get("/", base_url="http://127.0.0.1:8765")
    assert "ann" in page.text and TOKEN not in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "HttpOnly" in link.headers["Set-Cookie"]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8765", "127.0.0.1.evil", "[::1", "@"]
)
def test_other_host_names_are_refused(app, host):
    answer = app.test_client().get("/login", headers={"Host": host})
    assert answer.status_code in (400, 421)


def test_requests_of_other_sites_are_refused(browser, labelling):
    body = {"id": labelling.pool.ids_of(np.array([0]))[0], "value": "positive"}
    others = (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"X-CSRF-Token": "guessed"},
        {"X-CSRF-Token": ""},
    )
    for headers in others:
        assert browser.post("/api/label", body, **headers).status_code == 403, headers
    assert labelling.current().empty
    assert browser.post("/api/label", body).status_code == 200
    assert len(labelling.current()) == 1


def test_without_a_session_nothing_is_told(app):
    client = app.test_client()
    for path in ("/api/state", "/api/gallery", "/api/ahead"):
        answer = client.get(path, base_url="http://127.0.0.1:8765")
        assert answer.status_code == 401 and "sign in" in answer.json["error"]
    for path in ("/crop/x/0.png", "/export/labels.csv", "/progress"):
        answer = client.get(path, base_url="http://127.0.0.1:8765")
        assert answer.headers["Location"] == "/login", path


def test_wrong_tokens_are_counted_and_then_have_to_wait(app):
    client, base = app.test_client(), "http://127.0.0.1:8765"
    data = {"token": "guess", "name": "eve"}
    codes = [client.post("/login", data=data, base_url=base).status_code for _ in range(TRIES + 2)]
    assert codes == [403] * TRIES + [429] * 2
    right = client.post("/login", data={"token": TOKEN, "name": "eve"}, base_url=base)
    assert right.status_code == 429


def test_the_wait_ends():
    now = [0.0]
    tries = Tries(lambda: now[0])
    for _ in range(TRIES):
        assert tries.wait_s("a") == 0
        tries.failed("a")
    assert tries.wait_s("a") == 60 and tries.wait_s("b") == 0
    now[0] = 60.5
    assert tries.wait_s("a") == 0


@pytest.mark.parametrize("name", ["", "  ", "<b>", "settled by ann", "x" * 41, "a\0b", "../x", "_"])
def test_names_that_are_none_are_refused(name):
    with pytest.raises(DataError, match="is no name"):
        annotator_name(name)


def test_names_of_people_are_taken():
    assert annotator_name("  Sławomir   O'Neil-2 ") == "Sławomir O'Neil-2"


def test_others_need_a_token_and_a_long_one(tmp_path):
    with pytest.raises(ConfigError, match="--token-file"):
        access_of("0.0.0.0", 1, None, tmp_path / "k")
    with pytest.raises(ConfigError, match="too short"):
        access_of("0.0.0.0", 1, "short", tmp_path / "k")
    assert "myhost" in access_of("0.0.0.0", 1, TOKEN, tmp_path / "k", ("myhost",)).hosts()


def test_a_server_that_is_started_again_knows_the_open_pages(tmp_path):
    first, second = (access_of("127.0.0.1", 1, None, tmp_path / "k") for _ in range(2))
    assert first == second and len(first.token) == 32
    assert (tmp_path / "k").stat().st_mode & 0o077 == 0
    other = access_of("127.0.0.1", 1, TOKEN, tmp_path / "k")
    assert other.key != first.key


def test_a_label_is_on_disk_when_the_answer_comes_and_once(browser, labelling):
    state = browser.begin(labelling)
    name = state["galaxies"][0]["id"]
    for _ in range(3):  # an answer that was lost makes the page ask again
        assert browser.post("/api/label", {"id": name, "value": "negative"}).status_code == 200
    with sqlite3.connect(labelling.store.path) as db:
        rows = db.execute("SELECT value, round FROM labels WHERE id = ?", (name,)).fetchall()
    assert rows == [("negative", 1)]
    again = browser.get("/api/state").json
    assert again["galaxies"][0]["value"] == "negative" and again["round"] == 1


def test_undo_takes_back_the_label_that_is_meant_and_no_second_one(browser, labelling):
    ids = [galaxy["id"] for galaxy in browser.begin(labelling)["galaxies"]]
    last = [browser.post("/api/label", {"id": n, "value": "positive"}).json["last"] for n in ids]
    assert browser.post("/api/undo", {"number": last[-1]}).json["id"] == ids[-1]
    assert browser.post("/api/undo", {"number": last[-1]}).json["id"] is None
    assert [g["value"] for g in browser.get("/api/state").json["galaxies"]] == ["positive"] * 3 + [
        ""
    ]


def test_a_round_goes_on_only_when_all_have_a_label_or_it_is_meant(browser, labelling):
    first = browser.begin(labelling)
    ids = [galaxy["id"] for galaxy in first["galaxies"]]
    answer = browser.post("/api/next", {"rest": ""})
    assert answer.status_code == 409 and "4 of this round" in answer.json["error"]
    browser.post("/api/label", {"id": ids[0], "value": "positive"})
    second = browser.post("/api/next", {"rest": "negative"}).json
    assert second["round"] == 2 and not {g["id"] for g in second["galaxies"]} & set(ids)
    given = labelling.current().set_index("id")["value"]
    assert given[ids].tolist() == ["positive"] + ["negative"] * 3
    third = browser.post("/api/next", {"rest": "skip"}).json
    assert third["round"] == 3 and len(labelling.current()) == len(given)


def test_two_annotators_at_once_get_different_galaxies(app, labelling):
    people = [Browser(app, name) for name in ("ann", "bob", "cleo")]
    people[0].begin(labelling)
    shown = {}

    def ask(person, key):
        shown[key] = [g["id"] for g in person.post("/api/next", {"rest": "skip"}).json["galaxies"]]

    threads = [threading.Thread(target=ask, args=(p, i)) for i, p in enumerate(people)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    everything = [name for ids in shown.values() for name in ids]
    assert len(everything) == 12 and len(set(everything)) == 12


def test_a_label_of_another_gallery_keeps_the_round_in_which_it_was_asked(browser, labelling):
    first = browser.begin(labelling)["galaxies"][0]["id"]
    browser.post("/api/next", {"rest": "negative"})
    browser.post("/api/label", {"id": first, "value": "positive"})
    given = labelling.current().set_index("id")
    assert given.loc[first, "round"] == 1 and given.loc[first, "value"] == "positive"


def test_a_dispute_is_shown_and_settled(app, browser, labelling):
    name = browser.begin(labelling)["galaxies"][0]["id"]
    other = Browser(app, "bob")
    browser.post("/api/label", {"id": name, "value": "positive"})
    other.post("/api/label", {"id": name, "value": "negative"})
    shown = browser.get("/api/gallery?value=disputed").json
    assert [g["id"] for g in shown["galaxies"]] == [name]
    assert {(x["annotator"], x["value"]) for x in shown["galaxies"][0]["labels"]} == {
        ("ann", "positive"), ("bob", "negative"),
    }  # fmt: skip
    browser.post("/api/settle", {"id": name, "value": "negative"})
    assert browser.get("/api/gallery?value=disputed").json["total"] == 0
    table = labelling.labels().set_index("id")
    assert table.loc[name, "value"] == "negative" and not table.loc[name, "disputed"]


def test_the_rule_is_the_annotators_own_and_kept_over_a_restart(app, browser, run, labelling):
    answer = browser.post("/api/choice", {"rule": "random", "alpha": 0.3, "n": 2})
    assert answer.json["choice"] == {"rule": "random", "alpha": 0.3, "n": 2}
    assert "at random" in answer.json["sentence"]
    assert Browser(app, "bob").get("/api/state").json["choice"]["rule"] == "alpha"
    browser.post("/api/next", {"rest": ""})
    with LabelStore(labelling.store.path, read_only=True) as store:
        assert store.last_suggestion("ann").rule == "random" and store.choice("ann")["n"] == 2
    wrong = browser.post("/api/choice", {"rule": "best", "alpha": 0.3, "n": 2})
    assert wrong.status_code == 422 and "alpha, top_score" in wrong.json["error"]


def test_without_a_positive_the_page_asks_for_examples(browser):
    assert browser.post("/api/next", {"rest": ""}).json["waiting"] == "prompts"


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/api/label", {"id": "nobody", "value": "positive"}, "not in the pool"),
        ("/api/label", {"id": "nobody", "value": "great"}, "is no label"),
        ("/api/label", {"id": 3, "value": "positive"}, "no 'id'"),
        ("/api/label", [], "no 'value'"),
        ("/api/prompts", {"ids": " \n", "value": "positive"}, "no id was given"),
        ("/api/prompts", {"ids": "a\n<script>", "value": "positive"}, "2 of 2 ids are not in"),
        ("/api/class", {"name": "ufo", "n": 2}, "no galaxy of class 'ufo'"),
        ("/api/class", {"name": "spiral", "n": 0}, "expected 1 to"),
        ("/api/undo", {"number": True}, "no 'number'"),
    ],
)
def test_what_cannot_be_done_is_said(browser, labelling, path, body, words):
    answer = browser.post(path, body)
    assert answer.status_code == 422 and words in answer.json["error"]
    assert labelling.current().empty


def test_images_of_rows_and_nothing_else_of_the_disk(browser, labelling):
    pool = labelling.pool.fingerprint["values"]
    image = browser.get(f"/crop/{pool}/3.png")
    assert image.data[:4] == b"\x89PNG" and "immutable" in image.headers["Cache-Control"]
    flux = browser.get(f"/api/cutout/{pool}/3")
    assert flux.headers["X-Shape"] == "3,152,152" and len(flux.data) == 4 * 3 * 152 * 152
    for path in ("../../pyproject.toml", "%2e%2e/page.css", "..%2f..%2fapp.py", "/etc/passwd"):
        assert browser.get(f"/static/{path}").status_code in (404, 308), path
    assert browser.get("/crop/other/3.png").status_code == 404
    assert browser.get(f"/crop/{pool}/999.png").status_code == 422
    assert browser.get(f"/crop/{pool}/-1.png").status_code == 404


def test_scripts_in_names_are_shown_as_text(app, labelling, run, tmp_path):
    page = Browser(app, "ann").get("/").text
    assert "<script>" not in page
    place = open_run(str(run), new="<script>alert(1)</script>")
    other = Labelling(place, tmp_path / "other.sqlite")
    shown = Browser(create_app(other, Access("127.0.0.1", 8765, TOKEN, b"k" * 32))).get("/").text
    assert "&lt;script&gt;alert(1)" in shown and "<script>alert" not in shown
    other.close()


def test_an_upload_that_is_too_large_is_refused(browser):
    body = {"ids": "x" * (21 * 2**20), "value": "positive"}
    assert browser.post("/api/prompts", body).status_code == 413


def test_similar_galaxies_are_those_nearest_in_the_features(browser, labelling):
    whitened = labelling.learner.whitening.apply(np.asarray(labelling.pool.features[:]))
    distance = np.linalg.norm(whitened - whitened[5], axis=1)
    expected = labelling.pool.ids_of(np.argsort(distance)[1:6])
    shown = browser.get("/api/like?row=5").json["galaxies"]
    assert [g["id"] for g in shown[:5]] == expected


def test_what_is_loaded_ahead_is_what_the_next_round_shows(browser, labelling):
    ids = [g["id"] for g in browser.begin(labelling)["galaxies"]]
    for name in ids:
        browser.post("/api/label", {"id": name, "value": "negative"})
    assert labelling.model.wait(300)
    ahead = browser.get("/api/ahead").json["rows"]
    shown = browser.post("/api/next", {"rest": ""}).json["galaxies"]
    assert [g["row"] for g in shown] == ahead


def test_progress_counts_rounds_and_knows_the_truth(browser, labelling):
    truth = labelling.place.truth
    state = browser.begin(labelling)
    for galaxy in state["galaxies"]:
        value = "positive" if truth[galaxy["row"]] else "negative"
        browser.post("/api/label", {"id": galaxy["id"], "value": value})
    assert labelling.model.wait(300)
    page = browser.get("/progress").text
    assert page.count("<svg") == 4 and "<td>alpha</td><td>4</td>" in page
    assert labelling.auprs and all(0 <= value <= 1 for value in labelling.auprs.values())


def test_a_port_in_use_is_said_with_another():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"in use.*--port {port + 1}"):
            refuse_used_port(Access("127.0.0.1", port, TOKEN, b""))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--run", "nowhere"], "no such run.*Make it first"),
        (["--run", "demo"], "results/demo: no such run.*make demo"),
        (["--target", "ufo"], "no class of this run.*spiral.*--new 'ufo'"),
        ([], "say what is looked for"),
        (["--target", "spiral", "--host", "0.0.0.0"], "needs|let|secret"),
        (["--target", "spiral", "--token-file", "nothing.txt"], "nothing.txt"),
        (["--target", "spiral", "--dataset", "stars"], "features/stars/lvm.npy"),
    ],
)
def test_what_cannot_be_started_is_one_sentence(run, tmp_path, monkeypatch, capsys, options, words):
    monkeypatch.chdir(tmp_path)
    run_options = [] if "--run" in options else ["--run", str(run)]
    assert main([*run_options, *options]) == 1
    said = capsys.readouterr().err
    assert re.search(words, said) and "Traceback" not in said


def test_a_store_of_other_features_is_refused(run, tmp_path):
    place = open_run(str(run), "spiral")
    Labelling(place, tmp_path / "l.sqlite").close()
    other = make_run(tmp_path, 12, "other", seed=2)
    with pytest.raises(DataError, match="started with other features"):
        Labelling(open_run(str(other), "spiral"), tmp_path / "l.sqlite")
