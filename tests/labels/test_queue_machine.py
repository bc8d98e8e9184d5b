"""Random work of several people on the queue and from the shell, held against a model that knows the rules in words."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from station.labels.labels import decide, read_labels
from station.labels.queue import LEASE_S, Item, NewItem, enqueue, find, postpone, renew, take
from station.labels.reviewing import CHOICES, Opinion, ReviewConflict, review, undo
from station.labels.schema import LABELS_FILE, LabelError, open_writer
from station.labels.writing import Reviewer, changing
from station.records.parts import part_row
from station.results import Verdict
from tests.bench.sample_parts import PartMaker

PEOPLE = [Reviewer("anna", "operator"), Reviewer("ben", "operator"), Reviewer("quinn", "quality")]
PARTS = {1: 1, 2: 1, 3: 2, 4: 2}
"""And how many people each needs."""


@dataclass
class Model:
    """What was said of one part, oldest first: (who, answer or None for an undo, blindly)."""

    needs: int
    said: list[tuple[str, str | None, bool]] = field(default_factory=list)

    @property
    def standing(self) -> list[tuple[str, str, bool]]:
        kept: list[tuple[str, str, bool]] = []
        for who, answer, blind in self.said:
            kept = [one for one in kept if blind and one[0] != who]
            if answer is not None:
                kept.append((who, answer, blind))
        return kept

    @property
    def state(self) -> str:
        answers = {answer for _, answer, _ in self.standing}
        if "unsure" in answers:
            return "unsure"
        if len(answers) > 1:
            return "disagree"
        whole = any(not blind for _, _, blind in self.standing) or len(self.standing) >= self.needs
        return "answered" if answers and whole else "open"

    @property
    def label(self) -> str | None:
        return self.standing[-1][1] if self.state == "answered" else None


class Reviewing(RuleBasedStateMachine):
    """`held`: what each person's page shows, however old it is."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.file = Path(self.folder.name) / LABELS_FILE
        self.labels = open_writer(self.file)
        self.labels.execute("PRAGMA synchronous = OFF")
        self.now = 1000.0
        self.rows = 0
        self.held: dict[str, Item] = {}
        self.model = {number: Model(needs) for number, needs in PARTS.items()}
        items = [
            NewItem("s1", number, 1000 + number, 0.0, "REVIEW", "review", None, 5000.0, needs)
            for number, needs in PARTS.items()
        ]
        with changing(self.labels):
            enqueue(self.labels, items, self.now)

    def teardown(self) -> None:
        if hasattr(self, "labels"):
            self.labels.close()
            self.folder.cleanup()

    @rule(by=st.sampled_from(PEOPLE))
    def take(self, by: Reviewer) -> None:
        overrules = by.role == "quality"
        item = take(self.labels, by, overrules=overrules, now=self.now)
        if item is None:
            self.held.pop(by.name, None)
            for number, model in self.model.items():
                other = find(self.labels, "s1", number)
                is_free = other.leased_by in (None, by.name) or (other.leased_until or 0) < self.now
                mine = model.state == "open" and all(who != by.name for who, _, _ in model.standing)
                assert not (is_free and (mine or (overrules and model.state in ("unsure", "disagree"))))
            return
        model = self.model[item.acquisition_id]
        assert model.state == "open" or (overrules and model.state in ("unsure", "disagree"))
        if model.state == "open":
            assert all(who != by.name for who, _, _ in model.standing)
        in_hand = [
            name
            for name, other in self.held.items()
            if name != by.name and other.id == item.id and other.version == item.version
        ]
        assert in_hand == [], "two people hold the same version of a part"
        self.held[by.name] = item

    @rule(by=st.sampled_from(PEOPLE), answer=st.sampled_from(CHOICES), again=st.booleans())
    def decide(self, by: Reviewer, answer: str, again: bool) -> None:
        item = self.held.get(by.name)
        if item is None:
            return
        opinion = Opinion(answer, request=f"{by.name} {self.rows}")  # type: ignore[arg-type]
        overrules = by.role == "quality"

        def post() -> int:
            return review(self.labels, item.id, item.version, opinion, by, overrules=overrules, now=self.now)

        model = self.model[item.acquisition_id]
        unchanged = find(self.labels, "s1", item.acquisition_id).version == item.version
        try:
            decision = post()
        except ReviewConflict:
            assert not unchanged, "refused without a reason"
            return
        assert unchanged, "what somebody else did was overwritten"
        if again:
            assert post() == decision
        model.said.append((by.name, answer, model.needs == 2 and model.state == "open"))
        self.rows += 1

    @rule(by=st.sampled_from(PEOPLE), number=st.sampled_from(sorted(PARTS)))
    def undo(self, by: Reviewer, number: int) -> None:
        model = self.model[number]
        own = [blind for who, _, blind in model.standing if who == by.name]
        item = find(self.labels, "s1", number)
        try:
            undo(self.labels, item.id, by, now=self.now)
        except LabelError:
            assert not own
            return
        assert own
        model.said.append((by.name, None, own[-1]))
        self.rows += 1

    @rule(
        by=st.sampled_from(PEOPLE), number=st.sampled_from(sorted(PARTS)), answer=st.sampled_from(["good", "defective"])
    )
    def label_from_the_shell(self, by: Reviewer, number: int, answer: str) -> None:
        decide(self.labels, part_row(PartMaker().inspected(number, Verdict.REVIEW)), answer, by)  # type: ignore[arg-type]
        self.model[number].said.append((by.name, answer, False))
        self.rows += 1

    @rule(by=st.sampled_from(PEOPLE), keeps=st.booleans())
    def renew_or_put_back(self, by: Reviewer, keeps: bool) -> None:
        if by.name in self.held:
            if keeps:
                renew(self.labels, self.held[by.name].id, by, self.now)
            else:
                postpone(self.labels, self.held.pop(by.name).id, by, self.now)

    @rule(seconds=st.sampled_from([1.0, LEASE_S + 1]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def restart(self) -> None:
        self.labels.close()
        self.labels = open_writer(self.file)
        self.labels.execute("PRAGMA synchronous = OFF")

    @invariant()
    def labels_and_states_are_those_of_the_rules(self) -> None:
        if not hasattr(self, "labels"):
            return
        labels = {one.acquisition_id: one.label for one in read_labels(self.file)}
        assert labels == {number: model.label for number, model in self.model.items() if model.label is not None}
        states = dict(self.labels.execute("SELECT acquisition_id, state FROM items").fetchall())
        assert states == {number: model.state for number, model in self.model.items()}
        assert self.labels.execute("SELECT COUNT(*) FROM decisions").fetchone()[0] == self.rows


Reviewing.TestCase.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
test_reviewing = Reviewing.TestCase
