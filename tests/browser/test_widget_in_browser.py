"""The notebook's widget in a real browser: a plain page around it, the real Python behind."""

import json
import sqlite3
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import galaxy_lvm.ui
import pytest
from galaxy_lvm.ui.notebook import label_run

STATIC = Path(galaxy_lvm.ui.__file__).parent / "static"
NAMES = ("state", "pictures", "looked", "alarm", "waiting", "about")
# What a notebook does: values that Python changed are told to those who listen, one call at a time.
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>widget</title>
<link rel="stylesheet" href="widget.css"><main id="out"></main>
<script type="module">
import widget from "./widget.js";
const listeners = {};
let values = await (await fetch("values")).json();
let last = Promise.resolve();
window.kernel = true;
const model = {
  get: (name) => values[name],
  on: (what, work) => { (listeners[what] ||= new Set()).add(work); },
  off: (what, work) => listeners[what]?.delete(work),
  send: (content) => { last = last.then(() => say(content)); },
};
async function say(content) {
  if (!window.kernel) return;
  const before = values;
  values = await (await fetch("say", { method: "POST", body: JSON.stringify(content) })).json();
  for (const name of Object.keys(values))
    if (JSON.stringify(before[name]) !== JSON.stringify(values[name]))
      for (const work of listeners[`change:${name}`] || []) work();
}
widget.render({ model, el: document.getElementById("out") });
window.ready = true;
</script></html>"""


class Handler(BaseHTTPRequestHandler):
    widget, lock = None, threading.Lock()

    def answer(self, content, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(content if isinstance(content, bytes) else content.encode())

    def values(self):
        self.answer(json.dumps({n: getattr(self.widget, n) for n in NAMES}), "application/json")

    def do_GET(self):
        kinds = {"/widget.js": "text/javascript", "/widget.css": "text/css"}
        if self.path in kinds:
            self.answer((STATIC / self.path[1:]).read_bytes(), kinds[self.path])
        elif self.path == "/values":
            self.values()
        else:
            self.answer(PAGE, "text/html")

    def do_POST(self):
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.lock:
            self.widget._handle_custom_msg(said, [])
            self.values()

    def log_message(self, *about):
        pass


@pytest.fixture
def shown(run, page, tmp_path):
    """The widget with a round of four, and the browser that shows it."""
    widget = label_run(str(run), "spiral", store=tmp_path / "labels.sqlite", annotator="ann",
                       per_round=4)  # fmt: skip
    widget.examples(3)
    assert widget.labelling.model.wait(600)
    widget.next_round()
    handler = type("Bound", (Handler,), {"widget": widget})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    page.driver.get(f"http://127.0.0.1:{server.server_port}/")
    page.until(lambda: page.state("window.ready === true"))
    yield widget
    page.driver.get("about:blank")
    server.shutdown()
    server.server_close()
    widget.close()


def values(page, name="value"):
    return page.state(f"[...document.querySelectorAll('.tile')].map((t) => t.dataset.{name} || '')")


def stored(widget):
    with sqlite3.connect(widget.labelling.store.path) as db:
        return dict(db.execute("SELECT id, value FROM labels WHERE round > 0").fetchall())


def focus(page, number):
    """Put the cursor on a galaxy, as a click beside its label does, without labelling it."""
    page.until(lambda: page.state(
        f"(document.querySelectorAll('.tile')[{number}].focus(), "
        f"document.activeElement === document.querySelectorAll('.tile')[{number}])"
    ))  # fmt: skip


def test_a_round_by_keys_and_the_next_one(shown, page):
    ids = values(page, "id")
    assert ids == [galaxy["id"] for galaxy in shown.state["galaxies"]]
    focus(page, 0)
    page.press("y", "n", "m", "4", "4")
    page.until(lambda: values(page, "kept") == ["yes"] * 4)
    expected = ["positive", "negative", "unsure", "negative"]
    assert values(page) == expected and list(stored(shown).values())[:3] == expected[:3]
    assert stored(shown)[ids[3]] == "negative"
    page.press("u")
    page.until(lambda: values(page) == [*expected[:3], "positive"] or values(page)[3] == "")
    page.push(".bar button:nth-of-type(2)")  # the rest is negative
    page.until(lambda: page.state("document.querySelector('strong').textContent").endswith("2"))
    assert not set(values(page, "id")) & set(ids)


def test_a_label_has_its_tick_only_when_it_is_on_disk(shown, page):
    page.driver.execute_script("window.kernel = false")  # as one that is busy, or gone
    page.push(".tile")
    page.until(lambda: values(page) == ["positive", "", "", ""])
    assert values(page, "kept")[0] == "no" and stored(shown) == {}
    assert "1 not saved yet" in page.one(".galaxy-lvm [role=status]").text


def test_what_is_refused_is_said_and_space_shows_the_galaxy_large(shown, page):
    page.push(".bar button")  # next round, with nothing labelled
    page.until(lambda: "4 of this round have no label" in page.one(".alarm").text)
    focus(page, 1)
    page.press(" ")
    page.until(lambda: page.one(".look figcaption").text == values(page, "id")[1])
    assert page.one(".look img").is_displayed()
    assert values(page) == [""] * 4
