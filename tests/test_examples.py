"""The examples run as they stand."""

from __future__ import annotations

import logging

import pytest

from deixis.runtime.messages import Header, RobotState
from deixis.runtime.testing import NodeBench
from examples.nod import Nod


def state(holding: str | None) -> RobotState:
    label = "red cup" if holding else ""
    return RobotState(Header(1), "idle", (0, 0, 0), (0, 0, 0), holding, label)


def test_nod_speaks_once_per_object(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), NodeBench(Nod, params={"phrase": "got"}) as bench:
        for holding in (None, "cup-1", "cup-1", None):
            bench.send("robot_state", state(holding))
    assert [r.message for r in caplog.records] == ["got the red cup"]
