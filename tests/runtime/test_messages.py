"""Messages survive the wire; anything else is refused."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deixis.runtime import messages as m
from deixis.runtime.errors import MessageError
from deixis.runtime.topics import TOPICS

finite = st.floats(allow_nan=False, allow_infinity=False, width=64)
vec3 = st.tuples(finite, finite, finite)
cov3 = st.tuples(*[finite] * 9)


@given(st.integers(0, 2**62), st.text(max_size=40), vec3, cov3, st.sampled_from(["reach", "hold"]))
def test_pointing_round_trip(stamp_ns: int, source: str, at: m.Vec3, cov: m.Cov3, phase: str):
    message = m.Pointing(m.Header(stamp_ns, 3, source), 1, at, at, cov, cov, 0.5, phase)
    assert m.decode(m.encode(message), m.Pointing) == message


@given(st.binary(max_size=200))
def test_garbage_is_refused_not_raised_otherwise(data: bytes):
    for topic in TOPICS.values():
        if topic.message is m.Frame:
            continue
        with pytest.raises(MessageError):
            m.decode(data, topic.message)


def test_a_message_of_another_type_is_refused():
    data = m.encode(m.Heartbeat(m.Header(1)))
    with pytest.raises(MessageError, match="not a valid Hands"):
        m.decode(data, m.Hands)


def test_audio_samples_come_back_exactly():
    samples = np.linspace(-1, 1, 320, dtype=np.float32)
    chunk = m.AudioChunk(m.Header(5), samples.tobytes())
    back = m.decode(m.encode(chunk), m.AudioChunk)
    np.testing.assert_array_equal(back.array(), samples)


def test_messages_are_frozen():
    with pytest.raises(AttributeError):
        m.Header(1).seq = 2  # type: ignore[misc]


def test_label_names_colour_and_noun():
    nine = (0.0,) * 9
    thing = m.SceneObject(
        "cup-1", {"cup": 0.9, "bowl": 0.1}, {"red": 0.8}, (0, 0, 1, 1), (0, 0, 0), nine, 0.04, 1, 1
    )
    assert thing.label() == "red cup"
    assert msgspec.structs.replace(thing, names={}, colours={}).label() == "object"
    assert math.isclose(thing.names["cup"], 0.9)


def test_referents_of_before_there_were_spots_are_read():
    """A recording from before: six fields, and one of the three relations."""
    old = msgspec.msgpack.encode(["object", "white bowl", 0.9, "bowl", [0.5, 0.0, 0.03], "next_to"])
    referent = msgspec.msgpack.decode(old, type=m.Referent)
    assert referent == m.Referent("object", "white bowl", 0.9, "bowl", (0.5, 0.0, 0.03), "next_to")
    assert referent.place_base_m is None


def test_resolutions_of_before_there_were_answers_are_read():
    evidence = m.Evidence("what is that", (), 0.9)
    new = m.Resolution(m.Header(1), "clarify", "describe", None, "Which one?", "", evidence)
    fields = msgspec.msgpack.decode(m.encode(new))
    assert m.decode(msgspec.msgpack.encode(fields[:-1]), m.Resolution) == new
