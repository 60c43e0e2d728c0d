"""Marks become stages, and durations become percentiles."""

from __future__ import annotations

import pytest

from deixis.runtime import trace
from deixis.runtime.messages import Mark
from deixis.runtime.metrics import RollingTimings, summarise

MS = 1_000_000


def marks() -> tuple[Mark, ...]:
    names = (trace.SPEECH_END, trace.ENDPOINT, trace.COMMITTED, trace.RESOLVED, trace.RECEIVED)
    return tuple(Mark(name, i * i * MS) for i, name in enumerate(names))


def test_stages_add_up_to_the_end_to_end_latency():
    stages = trace.stages_ms(marks())
    assert stages["end_to_end"] == 16
    assert sum(v for k, v in stages.items() if k != "end_to_end") == stages["end_to_end"]
    assert stages["delivery"] == 7


def test_a_stage_without_both_marks_is_left_out():
    assert "endpointing" not in trace.stages_ms(marks()[1:])


def test_a_mark_set_again_replaces_the_earlier_one():
    changed = trace.with_mark(marks(), trace.SPEECH_END, 2 * MS)
    assert trace.stages_ms(changed)["end_to_end"] == 14
    assert len(changed) == len(marks())


def test_summary():
    summary = summarise([float(i) for i in range(1, 101)])
    assert (summary.n, summary.max) == (100, 100.0)
    assert summary.p50 == pytest.approx(50.5)
    assert summary.p99 == pytest.approx(99.01)
    assert summarise([]).p99 is None


def test_rolling_timings_count_all_and_keep_the_newest():
    timings = RollingTimings(size=3)
    for value in (100.0, 1.0, 2.0, 3.0):
        timings.add(value)
    assert timings.stats().n == 4
    assert timings.stats().max_ms == 3.0
