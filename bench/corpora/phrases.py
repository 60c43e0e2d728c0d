"""The tables behind the sentences: frames with their intent, fillers, what is no command.

A frame's ``{slot:pool}`` is filled from a pool of ``sentences.py``; ``|`` marks where a speaker
would pause. Phrases that the domain can read in two ways (*bring that over there*) are left out.

``python -c "from bench.corpora.phrases import FRAMES; print(len(FRAMES))"``
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Manner = Literal["order", "question", "word"]
"""Which fillers fit: a request, a question, or a word by itself."""


@dataclass(frozen=True)
class Frame:
    """A sentence with places to fill."""

    intent: str
    text: str
    manner: Manner = "order"


def _frames(intent: str, *texts: str, manner: Manner = "order") -> tuple[Frame, ...]:
    return tuple(Frame(intent, text, manner) for text in texts)


FRAMES = (
    *_frames(
        "pick", "pick up | {object:thing}", "take | {object:thing}", "grab | {object:thing}",
        "lift up | {object:near}", "get | {object:near}", "pick | {object:near} up",
        "get hold of | {object:thing}", "pick up | {object:far}", "lift | {object:thing}",
    ),
    *_frames(
        "place", "put | {object:near} | {destination:place}",
        "put | {object:thing} | in | {destination:container}",
        "place | {object:thing} | on | {destination:surface}",
        "put | {object:it} | next to | {destination:surface}",
        "set | {object:near} | down on | {destination:surface}",
        "move | {object:near} | next to | {destination:surface}",
        "drop | {object:it} | into | {destination:container}",
        "lay | {object:near} | on top of | {destination:surface}",
        "leave | {object:it} | {destination:place}",
        "put | {object:thing} | beside | {destination:surface}",
        "put | {object:it} | near | {destination:surface}",
    ),
    *_frames(
        "bring", "bring me | {object:near}", "hand me | {object:thing}", "pass me | {object:thing}",
        "give me | {object:thing}", "bring | {object:near} | to me", "fetch | {object:thing}",
        "bring | {object:it} | {destination:here}", "carry | {object:near} | to {destination:goal}",
        "take | {object:it} | to {destination:goal}", "give | {object:near} | to me",
    ),
    *_frames(
        "go",
        "go | {destination:place}", "move | {destination:place}", "come | {destination:here}",
        "drive | to {destination:goal}", "go | to {destination:goal}",
        "walk | to {destination:goal}",
    ),
    *_frames("look", "look | {destination:place}", "look at | {object:seen}"),
    *_frames(
        "describe", "what is | {object:seen}", "what is | {object:near} called",
        "what do you call | {object:near}", "tell me what | {object:near} is",
        manner="question",
    ),
    *_frames("describe", "describe | {object:seen}"),
    *_frames("open", "open | {object:openable}", "open up | {object:openable}"),
    *_frames("close", "close | {object:openable}", "shut | {object:openable}"),
    *_frames(
        "switch_on", "turn on | {object:light}", "switch on | {object:light}",
        "turn | {object:light} on", "switch | {object:light} on",
    ),
    *_frames(
        "switch_off", "turn off | {object:light}", "switch off | {object:light}",
        "turn | {object:light} off", "switch | {object:light} off",
    ),
    *_frames(
        "turn", "turn | {side:side}", "turn | to the {side:side}", "turn | {side:around}",
        "rotate | to the {side:side}", "spin | {side:around}", "rotate | {side:side}",
    ),
    *_frames(
        "release", "drop | {object:thing}", "release | {object:near}", "let go of | {object:near}",
        "let go", "let | {object:it} go", "open | the gripper", "open | your hand", "release",
    ),
    *_frames("follow", "follow me", "come with me"),
    *_frames(
        "stop", "stop", "halt", "freeze", "stop now", "stop stop stop", "hold it", "emergency stop",
        "don't move", "stop moving", "stop right there", manner="word",
    ),
    *_frames(
        "pause", "wait", "pause", "wait a moment", "wait one second", "wait for me", "hold on",
        "hang on", "stay there", "wait there", manner="word",
    ),
    *_frames("resume", "carry on", "go on", "continue", "resume", "keep going", manner="word"),
    *_frames(
        "cancel",
        "never mind", "forget it", "forget about it", "cancel", "cancel that", "undo that",
        "abort", "undo it", manner="word",
    ),
    *_frames(
        "yes", "yes", "yeah", "correct", "exactly", "yes that one", "that is right", "that is it",
        "that is the one", "that is correct", manner="word",
    ),
    *_frames(
        "no", "no", "nope", "wrong", "no not that one", "no not that", "that is wrong",
        "that is not it", manner="word",
    ),
)  # fmt: skip

PREFIXES: dict[Manner, tuple[str, ...]] = {
    "order": (
        "please", "can you", "could you", "would you", "okay", "robot", "hey robot", "um", "now",
        "okay now", "so", "could you please", "and then", "well",
    ),
    "question": ("hey robot", "okay", "um", "so", "hey", "well", "robot"),
    "word": ("okay", "robot", "um", "oh", "hey robot"),
}  # fmt: skip
SUFFIXES: dict[Manner, tuple[str, ...]] = {
    "order": ("please", "thanks", "thank you"),
    "question": ("please",),
    "word": ("please",),
}

OUT_OF_DOMAIN = {
    "dev": (
        # Talk.
        "i think it might rain tomorrow afternoon", "what time is it",
        "i had a cup of tea this morning", "did you see the game last night",
        "we should go there some time next year", "my phone is ringing", "how are you doing",
        "he put it off until monday", "they moved to the city when i was ten",
        "let me think about that for a minute", "so what do we do now",
        "she said she would be here by noon", "i can't find my keys anywhere",
        # Words of commands in what is none.
        "i stopped at the store", "the cup is on the table", "that is what i told him",
        "don't stop me now", "the bus stop is around the corner", "they stop here every day",
        "the book was on the shelf for years", "you know i was looking at that the other day",
        "he picked up the kids from school", "we were going to take that to the office",
        "she left the red cup in the kitchen", "i would have put it in the box",
        "that one belongs to my sister", "it was over there yesterday",
        "yesterday he dropped the bottle on the floor", "why did you turn off the light",
        "the green bowl looks nice", "was that the door",
        # People talking to each other about things.
        "did you bring the plates from home", "have you seen my blue pen",
        "whose banana is this", "i like the one with the handle",
        "can i borrow your phone tomorrow", "is there any coffee left",
        # Half commands, and things the robot does not know.
        "put that on the", "bring me", "pick up the", "turn on the", "pick up the newspaper",
        "open the window", "play some music", "bring me a sandwich",
        "turn up the volume", "put the kettle on",
    ),
    "held": (
        "the weather has been lovely all week", "do you know when the train leaves",
        "i really need a holiday", "he was born in a small village near the sea",
        "nobody told me about the meeting", "it costs about twenty dollars",
        "my brother works at the hospital", "what did you have for dinner",
        "she has been learning the piano since may", "it is getting late and i am tired",
        "we watched a film about penguins", "have a nice day",
        "the doctor said there was nothing to worry about", "i forgot my password again",
        "i waited there for an hour", "the bottle is almost empty",
        "we never stopped talking about it", "the door was open when i came home",
        "he takes the bus to work", "she gave me the book for my birthday",
        "this is the box i was telling you about", "i dropped my phone in the sink",
        "look how big he is now", "the lamp in the hall is broken",
        "you put too much salt in it", "there is a glass next to the sink",
        "the yellow ball rolled under the sofa", "they turned left at the church",
        "that was the wrong answer to give", "i followed him to the station",
        "he keeps going to the same place", "no one picks up when i call",
        "we could go there by car if you want", "the non stop flight is cheaper",
        "freezing rain is expected tonight", "the next stop is central station",
        "halfway through he gave up", "i put my money on the other horse",
        "which of these knives is the sharp one", "could i have some more of that soup",
        "are you taking the plates or am i", "i prefer tea over coffee",
        "who left the light on all night", "is that your apple or mine",
        "do you want the last slice of cake", "the kids are playing with the blocks",
        "did he bring it back yet", "please tell your mother i said hello",
        "take the", "put it next to the", "move that", "go to the", "switch off the",
        "bring me the guitar", "open the curtains", "pick up the hammer", "call me a taxi",
        "set an alarm for seven", "turn down the heating", "what is the capital of france",
        "close the window", "put the dog outside",
    ),
}  # fmt: skip
