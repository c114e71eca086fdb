"""The label store: append-only, undo, several annotators and processes, kills."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
from galaxy_lvm.core.errors import ConfigError, DataError
from galaxy_lvm.hitl.store import NEGATIVE, POSITIVE, UNSURE, LabelStore
from galaxy_lvm.hitl.store_check import refuse_damaged

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def store(tmp_path):
    return LabelStore(tmp_path / "labels.sqlite")


def current(store):
    return {(r.id, r.annotator): r.value for r in store.current().itertuples()}


def test_last_label_counts_and_all_remain(store):
    store.append(["a", "b"], [POSITIVE, NEGATIVE], "me", 0)
    store.append(["a"], [NEGATIVE], "me", 1, "v1")
    store.append(["a"], [UNSURE], "you", 1)
    assert current(store) == {
        ("a", "me"): NEGATIVE, ("b", "me"): NEGATIVE, ("a", "you"): UNSURE,
    }  # fmt: skip
    history = store.history()
    assert len(history) == 4 and history["sequence"].tolist() == [1, 1, 2, 1]
    assert history["round"].tolist() == [0, 0, 1, 1] and history["model_version"][2] == "v1"


def test_undo_goes_back_label_by_label_and_is_a_row_of_its_own(store):
    store.append(["a", "b"], [POSITIVE, NEGATIVE], "me", 0)
    store.append(["a"], [NEGATIVE], "me", 1)
    store.append(["b"], [POSITIVE], "you", 1)
    assert store.retract_last("me") == "a"
    assert current(store)[("a", "me")] == POSITIVE  # the earlier label stands again
    assert store.retract_last("me") == "b" and store.retract_last("me") == "a"
    assert store.retract_last("me") is None
    assert current(store) == {("b", "you"): POSITIVE}
    assert len(store.history()) == 7


def test_rows_cannot_be_changed_or_removed(store, tmp_path):
    store.append(["a"], [POSITIVE], "me", 0)
    with sqlite3.connect(tmp_path / "labels.sqlite") as raw:
        for statement in ("UPDATE labels SET value = 'negative'", "DELETE FROM labels"):
            with pytest.raises(sqlite3.DatabaseError, match="only ever added"):
                raw.execute(statement)
    assert current(store) == {("a", "me"): POSITIVE}


def test_a_wrong_label_leaves_none_of_the_call(store):
    with pytest.raises(DataError, match="'maybe' of 'b' is none of positive, negative, unsure"):
        store.append(["a", "b"], [POSITIVE, "maybe"], "me", 0)
    with pytest.raises(DataError, match="2 ids and 1 labels"):
        store.append(["a", "b"], [POSITIVE], "me", 0)
    with pytest.raises(DataError, match="no name"):
        store.append(["a"], [POSITIVE], "", 0)
    assert store.history().empty


def test_other_files_are_refused(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("not a database, but long enough to look at" * 30)
    with pytest.raises(DataError, match=r"notes\.txt: cannot be used as a label store"):
        LabelStore(text)
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as raw:
        raw.execute("CREATE TABLE mine (x)")
    with pytest.raises(DataError, match="cannot be used as a label store"):
        LabelStore(other)


def test_settings_are_kept_and_others_refused(store):
    store.keep_settings({"alpha": 0.5, "ranker": {"steps": 3}})
    store.keep_settings({"alpha": 0.5})
    assert store.settings() == {"alpha": 0.5, "ranker": {"steps": 3}}
    with pytest.raises(ConfigError, match=r"started with alpha = 0\.5, not 0\.9"):
        store.keep_settings({"alpha": 0.9})


def python(code, *arguments, **pipes):
    """Start a process that can import the library."""
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, **pipes)


def test_two_processes_write_one_store_and_nothing_is_lost(tmp_path):
    path = tmp_path / "labels.sqlite"
    code = """
        import sys
        from galaxy_lvm.hitl.store import LabelStore
        store = LabelStore(sys.argv[1])
        for number in range(60):
            store.append([f"g{number % 20}"], ["positive"], sys.argv[2], number)
            if number % 3 == 2:
                store.retract_last(sys.argv[2])
    """
    # The same annotator twice: the hard case, where both want the same next sequence number.
    writers = [python(code, path, name) for name in ("one", "one", "two")]
    assert [writer.wait(300) for writer in writers] == [0, 0, 0]
    history = LabelStore(path).history()
    assert len(history) == 3 * 80
    assert not history.duplicated(["id", "annotator", "sequence"]).any()
    retracted = history["retracts"].dropna()
    assert len(retracted) == 3 * 20 and retracted.is_unique


ASK = """
    import sys
    import numpy as np
    from galaxy_lvm.hitl.pools import Pool
    from galaxy_lvm.hitl.session import Session
    from galaxy_lvm.hitl.settings import SessionSettings
    features = np.random.default_rng(5).normal(size=(15, 8)).astype(np.float32)
    pool = Pool([f"g{i}" for i in range(15)], features)
    settings = SessionSettings(rule="random")
    print("ready", flush=True)
    sys.stdin.readline()
    session = Session(pool, sys.argv[1], settings, sys.argv[2])
    print(" ".join(session.suggest(10)), flush=True)
"""


def test_two_annotators_who_ask_at_once_get_different_galaxies(tmp_path):
    path = tmp_path / "labels.sqlite"
    LabelStore(path).close()
    both = [python(ASK, path, name, stdin=subprocess.PIPE) for name in ("one", "two")]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("\n")
        process.stdin.flush()
    first, second = (set(process.stdout.readline().split()) for process in both)
    assert [process.wait(300) for process in both] == [0, 0]
    assert len(first | second) == 15 and not first & second  # ten and the five that are left
    store = LabelStore(path)
    assert store.reserved("three", 30) == first | second and not store.reserved("three", 0)
    assert set(store.last_suggestion("one").ids) == first


SESSION = """
    import json, sys, time
    import numpy as np
    from galaxy_lvm.hitl.pools import Pool
    from galaxy_lvm.hitl.ranker import RankerSettings
    from galaxy_lvm.hitl.session import Session
    from galaxy_lvm.hitl.settings import SessionSettings
    rng = np.random.default_rng(5)
    features = rng.normal(size=(150, 8)).astype(np.float32)
    truth = features[:, 0] > 0.8
    ids = [f"g{i}" for i in range(len(features))]
    settings = SessionSettings(rule="mix", ranker=RankerSettings(hidden_dim=32, steps=5))
    session = Session(Pool(ids, features), sys.argv[1], settings)
    if session.labels().empty:
        chosen = np.flatnonzero(truth)[:3]
        session.label([ids[i] for i in chosen], ["positive"] * 3)
    while True:
        asked = session.store.last_suggestion("me")
        left = [i for i in asked.ids if i not in set(session.labels()["id"])] if asked else []
        if asked and asked.round == 4 and not left:
            break
        for name in session.suggest(6):
            session.label([name], ["positive" if truth[int(name[1:])] else "negative"])
            print(name, flush=True)
            time.sleep(float(sys.argv[2]))
    score = [round(float(v), 6) for v in session.score()]
    print(json.dumps({"labels": session.labels().to_dict("list"), "score": score}))
"""


def last_line(process):
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return json.loads(output.splitlines()[-1])


def test_a_killed_session_ends_as_one_that_was_not(tmp_path):
    whole = last_line(python(SESSION, tmp_path / "whole.sqlite", 0))
    path = tmp_path / "killed.sqlite"
    for n_labels in (2, 7):  # killed in the midst of a round, twice
        process = python(SESSION, path, 0.02)
        for _ in range(n_labels):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        process.wait(300)
    assert 0 < len(LabelStore(path).current()) < 27
    resumed = last_line(python(SESSION, path, 0))
    assert resumed["labels"] == whole["labels"]
    assert resumed["score"] == whole["score"]
    assert len(whole["labels"]["id"]) == 27


def test_a_locked_store_is_waited_for(tmp_path):
    path = tmp_path / "labels.sqlite"
    LabelStore(path)
    code = """
        import sqlite3, sys
        raw = sqlite3.connect(sys.argv[1], isolation_level=None)
        raw.execute("BEGIN IMMEDIATE")
        print("locked", flush=True)
        sys.stdin.readline()
        raw.execute("COMMIT")
    """
    holder = python(code, path, stdin=subprocess.PIPE)
    assert holder.stdout.readline() == "locked\n"
    append = threading.Thread(
        target=lambda: LabelStore(path).append(["a"], [POSITIVE], "me", 0), daemon=True
    )
    append.start()
    append.join(0.5)
    assert append.is_alive()
    holder.communicate("let go\n", timeout=300)
    append.join(300)
    assert np.array_equal(LabelStore(path).current()["id"], ["a"]) and holder.returncode == 0


def test_a_store_that_others_write_into_is_not_taken_for_a_damaged_one(tmp_path):
    """What is compared when a store is opened is of one moment."""
    path = tmp_path / "labels.sqlite"
    store = LabelStore(path)
    store.append(["g0"], ["positive"], "one", 1)
    writer = sqlite3.connect(path, timeout=0, isolation_level=None)
    written = []

    def write_in_between(statement):
        if "sqlite_sequence" in statement:
            try:
                writer.execute(
                    "INSERT INTO labels SELECT NULL, 'g1', value, annotator, time, round, "
                    "model_version, 9, retracts FROM labels LIMIT 1"
                )
                written.append("at once")
            except sqlite3.OperationalError:
                written.append("has to wait")

    reader = sqlite3.connect(path, isolation_level=None)
    reader.set_trace_callback(write_in_between)
    refuse_damaged(str(path), reader, LabelStore.known_values)
    assert written == ["has to wait"]
    assert not reader.in_transaction
    reader.close()
    writer.close()
    store.close()
