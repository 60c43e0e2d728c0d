"""What a thing of the scene is, in words: its colour, its name, and where it stands.

    describe(thing, scene.objects, View(), FusionParams())
    # "That is a red cup, left of the bowl."

Nothing but the scene speaks: a name that is not sure is not said.
"""

from __future__ import annotations

from collections.abc import Sequence

from deixis.nodes.fusion.params import FusionParams
from deixis.nodes.fusion.relations import View, gap, within, words
from deixis.runtime.messages import Relation, SceneObject

SURE = 0.5
"""A name or colour that is less probable is not known."""
_NEAR_M = 0.25
_TOUCHING_M = 0.05


def describe(
    thing: SceneObject, objects: Sequence[SceneObject], view: View, params: FusionParams
) -> str:
    """One sentence about a thing.

    Args:
        thing: What is asked about.
        objects: The scene; the thing itself may be in it.
        view: Whose sides are meant.
        params: What counts as a container.
    """
    others = [o for o in objects if o.object_id != thing.object_id]
    name, colour = known(thing.names), known(thing.colours)
    where = _where(thing, others, view, params)
    if name:
        what = with_article(" ".join(part for part in (colour, name) if part))
        return f"That is {what}{f', {where}' if where else ''}."
    rest = " ".join(part for part in (colour, where) if part)
    doubt = "I don't know what that is"
    return f"{doubt}; it is something {rest}." if rest else f"{doubt}."


def known(shares: dict[str, float]) -> str:
    """The name or colour that is sure; empty if none is."""
    best = max(shares, key=shares.__getitem__, default="")
    return best if best and shares[best] >= SURE else ""


def with_article(noun: str) -> str:
    """*A cup*, *an orange ball*."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def _where(
    thing: SceneObject, others: Sequence[SceneObject], view: View, params: FusionParams
) -> str:
    """Where a thing stands relative to the nearest one that has a name; empty if none is near."""
    named = [o for o in others if known(o.names)]
    around = [o for o in named if within(thing, o)]
    if around:
        base = min(around, key=lambda o: o.radius_m)
        relation: Relation = "in" if known(base.names) in params.containers else "on"
        return f"{words(relation)} {_called(base, thing, others)}"
    near = [o for o in named if gap(thing, o) <= _NEAR_M and not within(o, thing)]
    if not near:
        return ""
    base = min(near, key=lambda o: gap(thing, o))
    relation = "next_to" if gap(thing, base) <= _TOUCHING_M else view.side(thing, base)
    return f"{words(relation)} {_called(base, thing, others)}"


def _called(base: SceneObject, thing: SceneObject, others: Sequence[SceneObject]) -> str:
    """A neighbour, told apart from the others: *the bowl*, *the blue cup*, *another cup*."""
    name, colour = known(base.names), known(base.colours)
    alike = [o for o in (thing, *others) if o is not base and known(o.names) == name]
    if not alike:
        return f"the {name}"
    if colour and all(known(o.colours) not in ("", colour) for o in alike):
        return f"the {colour} {name}"
    return f"another {name}" if thing in alike else with_article(name)
