"""Review without a browser: what each address does, for whom, and that labels are those that a refresh reads."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from station.hmi.rights import Person
from station.jobs.refresh_labels import labels_on_record
from station.labels.labels import read_labels
from station.labels.schema import open_writer
from station.results import Verdict
from tests.bench.pages import Client, Pages, serving
from tests.bench.sample_parts import PartMaker

SECTION = "[review]\nblind_share = 0.0\npass_share = 0.0\nfail_share = 0.0\n"
REVIEWS = 6


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Pages]:
    with serving(tmp_path, SECTION) as pages:
        make = PartMaker()
        pages.record(
            [make.inspected(100, Verdict.PASS), *(make.inspected(n, Verdict.REVIEW) for n in range(1, REVIEWS + 1))]
        )
        yield pages


@pytest.fixture
def people(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks is who the cookie says."""
    roles = {"anna": ("operator",), "ben": ("operator",), "quinn": ("quality",), "mo": ("maintenance",)}

    def login(connection: object) -> tuple[Person, str]:
        name = connection.cookies.get("who", "anna")  # type: ignore[attr-defined]
        return Person(name, roles[name]), "token"

    monkeypatch.setattr("station.hmi.guard._login", login)


def person(pages: Pages, name: str) -> Client:
    client = pages.client()
    client.cookies["who"] = name
    return client


def hidden(text: str) -> dict[str, str]:
    """The fields of the form and where it is sent."""
    form = text[text.index('<form id="decide"') :]
    fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form[: form.index("</form>")]))
    (fields["action"],) = re.findall(r'action="([^"]+)"', form[: form.index(">")])
    return fields


def decide(client: Client, answer: str, **more: str) -> int:
    fields = hidden(client.get("/review").text)
    return client.post(fields.pop("action"), {**fields, "answer": answer, **more}).status


def words(pages: Pages) -> dict[int, str]:
    return {one.part_id: one.label for one in read_labels(pages.site.labels)}


def test_one_part_after_the_other_and_the_labels_are_those_of_the_refresh(queue: Pages, people: None) -> None:
    anna = person(queue, "anna")
    assert [decide(anna, answer) for answer in ("good", "defective", "good", "unsure", "defective", "good")] == [
        303
    ] * 6
    assert "Nothing waits for you." in anna.get("/review").text
    assert words(queue) == {1001: "good", 1002: "defective", 1003: "good", 1005: "defective", 1006: "good"}
    found = {key: label.value for key, label in labels_on_record(queue.site.labels).items()}
    assert found == {f"s1/{n - 1000}": label for n, label in words(queue).items()}


def test_an_operator_gets_no_part_that_is_unsure_and_quality_settles_it(queue: Pages, people: None) -> None:
    anna, quinn = person(queue, "anna"), person(queue, "quinn")
    for answer in ("unsure", *["good"] * 5):
        decide(anna, answer)
    assert "Nothing waits for you." in person(queue, "ben").get("/review").text
    assert "anna: <b>unsure</b>" in quinn.get("/review").text
    assert decide(quinn, "defective") == 303
    assert words(queue)[1001] == "defective"


def test_who_comes_second_sees_both_and_nothing_is_overwritten(queue: Pages, people: None) -> None:
    anna, ben = person(queue, "anna"), person(queue, "ben")
    fields = hidden(anna.get("/review").text)
    with closing(open_writer(queue.site.labels)) as labels:
        labels.execute("UPDATE items SET leased_until = 0 WHERE leased_by = 'anna'")
    assert decide(ben, "defective") == 303
    refused = anna.post(fields.pop("action"), {**fields, "answer": "good"})
    assert refused.status == 409
    assert "Nothing was saved." in refused.text
    assert "ben has decided this part meanwhile: defective" in refused.text
    assert "You said: good." in refused.text
    assert words(queue) == {1001: "defective"}


def test_undo_gives_the_part_back(queue: Pages, people: None) -> None:
    anna = person(queue, "anna")
    decide(anna, "defective")
    text = anna.get("/review").text
    (undo,) = re.findall(r'action="(/review/\d+/undo)"', text)
    answer = anna.post(undo, {"csrf": "token"})
    assert (answer.status, words(queue)) == (303, {})
    assert "part 1001" in anna.get(answer.headers["location"]).text
    assert person(queue, "ben").post(undo, {"csrf": "token"}).status == 409


@pytest.mark.parametrize(
    ("fields", "status", "why"),
    [
        ({"answer": "perhaps"}, 422, "allowed: good, defective, unsure"),
        ({"answer": "defective", "class": "none such"}, 422, "no class"),
        ({"answer": "good", "note": "a\nb"}, 422, "one line of 1 to 1000 letters"),
        ({"answer": "defective", "regions": "[{]"}, 422, "cannot be understood"),
        ({"answer": "defective", "regions": '[{"camera": "top", "points": [[0, 0], [9, 9], [1, 0]]}]'}, 422, "outside"),
        ({"answer": "good", "version": "x"}, 409, "has changed since"),
        ({"answer": "good", "csrf": "forged"}, 403, "another login"),
    ],
)
def test_bad_input_is_a_sentence_and_saves_nothing(
    fields: dict[str, str], status: int, why: str, queue: Pages, people: None
) -> None:
    anna = person(queue, "anna")
    known = hidden(anna.get("/review").text)
    refused = anna.post(known.pop("action"), {**known, **fields})
    assert refused.status == status
    assert why in refused.text
    assert words(queue) == {}


def test_a_picture_is_of_the_part_and_view_that_were_asked_for(queue: Pages, people: None) -> None:
    anna = person(queue, "anna")
    answer = anna.get("/review/picture.jpg?session=s1&part=3&view=0&layer=plain")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
    assert "private" in answer.headers["cache-control"]
    shown = cv2.imdecode(np.frombuffer(answer.body, np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert shown.shape == (64, 48, 3)
    for wrong in (
        "part=3&view=9&layer=plain",
        "part=99&view=0&layer=plain",
        "part=3&view=0&layer=../x",
        "part=a&view=0",
    ):
        assert anna.get(f"/review/picture.jpg?session=s1&{wrong}").status == 404


def test_who_may_not_review_gets_nothing_of_it(queue: Pages, people: None) -> None:
    mo = person(queue, "mo")
    assert mo.get("/review").status == 403
    assert mo.post("/review/1/decide", {"csrf": "token", "answer": "good", "version": "1"}).status == 403
    assert 'href="/review"' not in mo.get("/live").text


def test_what_others_wrote_is_text(queue: Pages, people: None) -> None:
    evil = "<script>alert(1)</script>"
    with (
        closing(open_writer(queue.site.labels)) as labels,
        closing(sqlite3.connect(queue.site.records / "records.db")) as db,
    ):
        labels.execute("INSERT INTO classes (name, severity, made_by, made_at) VALUES (?, 'minor', 'x', 0)", [evil])
        db.execute("UPDATE parts SET reasons = json_array(json_object('code', 10, 'detail', ?))", [evil])
        db.commit()
    text = person(queue, "anna").get("/review").text
    assert evil not in text
    assert text.count("&lt;script&gt;alert(1)") >= 2
