"""What each intent needs before it may become an action: one table, as data.

    python -c "from deixis.nodes.fusion.intents import RULES; print(RULES['place'])"

A missing part is asked for; it is never filled in by chance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Need = Literal["required", "optional", "none"]


@dataclass(frozen=True, slots=True)
class IntentRule:
    """What an intent needs.

    Attributes:
        object: Whether it takes an object.
        destination: Whether it takes a destination.
        side: Whether it takes a side.
        either: One of object and destination is enough.
        to_person: Without a destination, and for *here*, the person who speaks is meant.
        takes_held: Whether the object may be the one in the gripper.
        puts_down: Whether something is put down at the destination (so *there* may be a container).
        says: What is done is to say something: no command goes to the robot.
        pointed: Without a hand that points at the object nothing is done, and nothing is asked: it
            was other talk.
    """

    object: Need = "none"
    destination: Need = "none"
    side: Need = "none"
    either: bool = False
    to_person: bool = False
    takes_held: bool = True
    puts_down: bool = False
    says: bool = False
    pointed: bool = False


_OBJECT = IntentRule(object="required", takes_held=False)
_PLAIN = IntentRule()

RULES: dict[str, IntentRule] = {
    "pick": _OBJECT,
    "place": IntentRule(object="required", destination="required", puts_down=True),
    "bring": IntentRule(object="required", destination="optional", to_person=True, puts_down=True),
    "go": IntentRule(destination="required", to_person=True),
    "look": IntentRule(object="optional", destination="optional", either=True),
    "describe": IntentRule(object="required", says=True),
    "teach": IntentRule(object="required", says=True, pointed=True),
    "open": _OBJECT,
    "close": _OBJECT,
    "switch_on": _OBJECT,
    "switch_off": _OBJECT,
    "turn": IntentRule(side="required"),
    "release": IntentRule(object="optional"),
    "follow": _PLAIN,
    "stop": _PLAIN,
    "pause": _PLAIN,
    "resume": _PLAIN,
    "cancel": _PLAIN,
    "yes": _PLAIN,
    "no": _PLAIN,
}
