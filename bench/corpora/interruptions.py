"""Tables of what is said around stops and pauses: stop words, near misses, second thoughts.

``python -c "from bench.corpora.interruptions import STOPS; print(STOPS)"``
"""

from __future__ import annotations

from .sentences import Line
from .voices import Group

STOPS = (
    "stop", "halt", "freeze", "stop now", "stop stop stop", "stop it", "hold it",
    "emergency stop", "don't move", "do not move", "stop moving", "stop right there", "stop that",
)  # fmt: skip
STOPS_SHORT = ("stop", "stop", "halt", "freeze", "stop stop stop", "stop it", "hold it")
"""What breaks off a sentence."""

BROKEN_OFF: dict[Group, tuple[str, ...]] = {
    "dev": (
        "put that on the", "pick up the", "bring me that", "take the red", "turn to the",
        "move that cup next to the", "go over", "could you please", "drop it in", "open the",
    ),
    "held": (
        "put the blue bottle", "get hold of", "hand me the", "carry this one to", "rotate to the",
        "place it beside", "walk to the", "okay now switch", "let go of the", "look at that",
    ),
}  # fmt: skip

NEAR_MISSES: dict[Group, tuple[str, ...]] = {
    "dev": (
        "the bus stop is around the corner", "i stopped at the store", "nonstop", "stock", "top",
        "shop", "they stop here every day", "the stopwatch is broken", "don't stop the music",
        "i could not stop laughing", "we had to stop twice on the way", "stop signs are red",
        "hold the line please", "the lake was frozen", "a pinch of salt", "he called it off",
        "she holds the record",
    ),
    "held": (
        "the train stops at every station", "the coffee shop", "stomp", "spot", "step", "stopover",
        "he stopped by yesterday", "what time does the music stop", "the freezer is full",
        "there is a light breeze", "hauled", "we never stop learning",
        "stop and go traffic is the worst", "can you hold my bag for a second", "malt",
        "it came to a halt", "they are holding a meeting",
    ),
}  # fmt: skip


def _said(intent: str, text: str, *, mark: str = "", **slots: str) -> Line:
    """A line whose parts are separated by ``|``."""
    parts = tuple(part.strip() for part in text.split("|"))
    return Line(" ".join(parts), intent, slots, parts, (mark,) if mark else ())


def _corrected(intent: str, text: str, **slots: str) -> Line:
    return _said(intent, text, mark="correction", **slots)


def _extended(intent: str, text: str, **slots: str) -> Line:
    return _said(intent, text, mark="extension", **slots)


SECOND_THOUGHTS: dict[Group, tuple[Line, ...]] = {
    "dev": (
        _corrected("turn", "turn left | no right", side="right"),
        _corrected("turn", "turn right | no turn left", side="left"),
        _corrected("go", "go there | no over here", destination="over here"),
        _corrected("pick", "pick up the red cup | no the blue cup", object="blue cup"),
        _corrected("open", "open the door | no the drawer", object="drawer"),
        _corrected("bring", "bring me that | no this one", object="this one"),
        _corrected(
            "place", "put it on the table | no on the shelf", object="it", destination="shelf"
        ),
        _corrected("switch_off", "turn the lamp on | no turn it off", object="it"),
        _corrected("go", "go to the table | sorry to the shelf", destination="shelf"),
        _corrected("look", "look here | no over there", destination="over there"),
    ),
    "held": (
        _corrected("turn", "rotate to the left | no to the right", side="right"),
        _corrected("turn", "spin around | no turn left", side="left"),
        _corrected("look", "look over there | no here", destination="here"),
        _corrected("pick", "take the green bottle | no the black pen", object="black pen"),
        _corrected("close", "close the box | sorry the drawer", object="drawer"),
        _corrected("bring", "hand me the fork | no the spoon", object="spoon"),
        _corrected("release", "let go of that | no drop the ball", object="ball"),
        _corrected(
            "place", "put that in the box | no in the bowl", object="that", destination="bowl"
        ),
        _corrected("go", "come here | no go there", destination="there"),
        _corrected("switch_on", "switch off the light | no switch it on", object="it"),
    ),
}
"""Corrections: what counts is the final meaning."""

EXTENSIONS: dict[Group, tuple[Line, ...]] = {
    "dev": (
        _extended("place", "put that | over there", object="that", destination="over there"),
        _extended("pick", "pick up that | blue cup", object="that blue cup"),
        _extended("open", "open that | red box", object="that red box"),
        _extended("bring", "bring me that | green bottle", object="that green bottle"),
        _extended("place", "drop it | in the bowl", object="it", destination="bowl"),
        _extended("go", "go | over there", destination="over there"),
        _extended("bring", "bring that | over here", object="that", destination="over here"),
        _extended("look", "look at this | yellow ball", object="this yellow ball"),
        _extended("pause", "wait | a moment"),
        _extended("release", "release that | one", object="that one"),
    ),
    "held": (
        _extended("place", "move this | over there", object="this", destination="over there"),
        _extended("pick", "grab that | white plate", object="that white plate"),
        _extended("close", "close this | drawer", object="this drawer"),
        _extended("bring", "give me that | banana", object="that banana"),
        _extended("place", "drop them | into the basket", object="them", destination="basket"),
        _extended("bring", "take it | to the table", object="it", destination="table"),
        _extended("look", "look at that | lamp", object="that lamp"),
        _extended("pause", "wait | for me"),
        _extended("pick", "take this | one", object="this one"),
    ),
}
"""Sentences that are complete before they go on."""
