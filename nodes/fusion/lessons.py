"""Teaching by voice: *this is a cup*, and the wait until the scene calls it so.

    lessons = Lessons()
    lessons.begin(Lesson(teach, event, parse, evidence, deadline_ns))
    for lesson in lessons.learnt(scene): print("Learnt:", lesson.noun)

People say "this is a …" all day. So a name counts only if it was heard just as it is written, and
the caller makes sure that somebody pointed at one object.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deixis.nodes.fusion.describe import known
from deixis.runtime.messages import Evidence, Parse, Scene, SpeechEvent, Teach, Word


@dataclass(frozen=True, slots=True)
class Lesson:
    """A name that was given, until the scene shows it.

    Attributes:
        teach: What the objects node was told.
        event: The utterance, for the report.
        parse: How it was read.
        evidence: What its understanding rests on.
        deadline_ns: When it has not been learnt.
    """

    teach: Teach
    event: SpeechEvent
    parse: Parse
    evidence: Evidence
    deadline_ns: int

    @property
    def noun(self) -> str:
        """The name with its colour."""
        return " ".join(part for part in (self.teach.colour, self.teach.name) if part)


class Lessons:
    """The lessons that wait for the scene."""

    def __init__(self) -> None:
        self._waiting: list[Lesson] = []

    @property
    def deadline_ns(self) -> int | None:
        """When the next one is overdue."""
        return min((lesson.deadline_ns for lesson in self._waiting), default=None)

    def begin(self, lesson: Lesson) -> None:
        """Wait for a name to show."""
        self._waiting.append(lesson)

    def learnt(self, scene: Scene) -> list[Lesson]:
        """The lessons whose names a scene shows; they are over."""
        names = {o.object_id: known(o.names) for o in scene.objects}
        return self._take(
            [n for n in self._waiting if names.get(n.teach.object_id) == n.teach.name]
        )

    def overdue(self, now_ns: int) -> list[Lesson]:
        """The lessons that took too long; they are over."""
        return self._take([n for n in self._waiting if n.deadline_ns <= now_ns])

    def clear(self) -> None:
        """Forget all: a new scene begins."""
        self._waiting.clear()

    def _take(self, done: list[Lesson]) -> list[Lesson]:
        self._waiting = [n for n in self._waiting if n not in done]
        return done


def name_of(parse: Parse) -> str:
    """The name that a parse gives, as the scene shall have it."""
    slot = parse.slot("name")
    return (slot.value or slot.text) if slot else ""


def colour_of(parse: Parse) -> str | None:
    """The colour that it gives, if any."""
    slot = parse.slot("colour")
    return (slot.value or slot.text) if slot else None


def heard_as_written(parse: Parse, words: Sequence[Word]) -> bool:
    """Whether name and colour were heard letter for letter.

    The recogniser takes "this is a joke" for "this is a jug": for a command that is a help, for a
    name it would teach nonsense.
    """
    for slot in (parse.slot("name"), parse.slot("colour")):
        if slot is not None:
            heard = "".join(words[i].text for i in slot.word_indices if i < len(words))
            if _letters(heard) != _letters(slot.text):
                return False
    return True


def _letters(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum())
