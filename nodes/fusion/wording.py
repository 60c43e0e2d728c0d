"""The questions that fusion asks, in words.

    python -c "from deixis.nodes.fusion.wording import missing; print(missing('pick', 'object'))"

Sides are the robot's own: its left is +y of the base frame.
"""

from __future__ import annotations

from deixis.nodes.fusion.referents import Problem, SlotResult
from deixis.nodes.fusion.relations import words
from deixis.runtime.messages import Candidate, Slot

_VERBS = {
    "pick": "pick up", "place": "put", "bring": "bring", "go": "go", "look": "look at",
    "describe": "describe", "teach": "learn", "open": "open", "close": "close",
    "switch_on": "switch on", "switch_off": "switch off", "turn": "turn", "release": "let go of",
}  # fmt: skip


def missing(intent: str, slot: str) -> str:
    """Asks for a slot that was not said."""
    verb = _VERBS.get(intent, intent.replace("_", " "))
    if slot == "destination":
        return "Where to?"
    return f"{verb.capitalize()} {'which way' if slot == 'side' else 'what'}?"


def problem(kind: Problem, slot: str, result: SlotResult, hand_seen: bool) -> str:
    """Asks about a slot whose referent cannot be acted on."""
    which = "Where?" if slot == "destination" else "Which one?"
    what = f"the {described(result.slot)}" if result.slot else "it"
    if kind == "no_pointing":
        why = "your hand did not hold still on anything" if hand_seen else "I did not see you point"
        return f"{which} ({why})"
    if kind == "no_scene":
        return f"{which} (I see no objects)"
    if kind == "none_of_them":
        if result.slot and (result.slot.noun or result.slot.colour):
            return f"{which} (I see no {described(result.slot)})"
        return f"{which} (there is nothing where you pointed)"
    if kind == "unknown_it":
        if slot == "destination":
            return f"{which} (I do not know what 'it' is)"
        return "What is 'it'? (I hold nothing, and nothing was named before)"
    if kind == "off_plane":
        return f"{which} (your finger does not point at the table)"
    if kind == "unclear_place":
        return f"{which} (I could not see precisely where you pointed)"
    if kind == "no_room":
        return f"{which} (there is no room {_at(result)})"
    if kind == "out_of_area":
        return f"{which} (that is where I may not put anything)"
    label = result.referent.label if result.referent else "something else"
    if kind == "occupied":
        return f"On the {label} or next to it?"
    return f"Do you mean the {label}? (you pointed at it, but said {what})"


def nothing(kind: Problem, result: SlotResult, hand_seen: bool) -> str | None:
    """Says that there is nothing to describe; None where it is better to ask."""
    if kind == "no_scene":
        return "I see no objects."
    if kind == "no_pointing" and not hand_seen:
        return "I did not see you point at anything."
    if kind == "no_pointing":
        return "Your hand did not hold still on anything."
    if kind == "none_of_them" and result.slot and (result.slot.noun or result.slot.colour):
        return f"I see no {described(result.slot)}."
    return "There is nothing where you pointed." if kind == "none_of_them" else None


def _at(result: SlotResult) -> str:
    """Where there is no room."""
    referent = result.referent
    if referent is None or referent.relation is None:
        return "there"
    return f"{words(referent.relation)} the {referent.label}"


def described(slot: Slot | None) -> str:
    """The colour and noun of a slot, or its words."""
    if slot is None:
        return ""
    if slot.colour is None and slot.noun is None:
        return slot.text
    return " ".join(part for part in (slot.colour, slot.noun or "one") if part)


def which_of(first: Candidate, second: Candidate) -> str:
    """Names the two best candidates, told apart by where they are if they look alike."""
    a, b = _name(first), _name(second)
    if a == b and first.position_base_m and second.position_base_m:
        dx = first.position_base_m[0] - second.position_base_m[0]
        dy = first.position_base_m[1] - second.position_base_m[1]
        if abs(dy) >= abs(dx):
            sides = ("on my left", "on my right") if dy > 0 else ("on my right", "on my left")
        else:
            sides = ("farther from me", "nearer to me")
            sides = sides if dx > 0 else sides[::-1]
        a, b = f"{a} {sides[0]}", f"{b} {sides[1]}"
    return f"{a[:1].upper()}{a[1:]} or {b}?"


def _name(candidate: Candidate) -> str:
    if candidate.object_id is None and candidate.label == "none of them":
        return "something else"
    return candidate.label if candidate.label.startswith("the ") else f"the {candidate.label}"
