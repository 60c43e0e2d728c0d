from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from deixis.calibration.pointing_guide import HoldCollector, held_between, read_spots
from deixis.runtime.clock import NS_PER_MS, NS_PER_S
from deixis.runtime.errors import CalibrationError, UsageError
from tests.calibration.people import SPOTS, hold, moved


def feed(collector: HoldCollector, frames: list) -> list[float]:
    progress = []
    for frame in frames:
        if collector.done:
            break
        collector.add(frame)
        progress.append(collector.progress)
    return progress


def test_a_hold_is_collected_once_it_is_long_enough() -> None:
    collector = HoldCollector()
    progress = feed(collector, hold(SPOTS[0].target_base_m, n=60))
    assert collector.done
    assert progress == sorted(progress)
    assert progress[-1] == 1.0
    # 1.2 s of 30 frames a second, of which the first 0.2 s are left out.
    assert len(progress) == pytest.approx(37, abs=1)
    assert len(collector.frames) == pytest.approx(31, abs=1)


def test_a_hand_that_moves_on_begins_anew() -> None:
    collector = HoldCollector()
    first = hold(SPOTS[0].target_base_m, n=30)
    second = moved(hold(SPOTS[1].target_base_m, n=60), NS_PER_S)
    feed(collector, [*first, *second])
    assert collector.frames[0].header.stamp_ns >= NS_PER_S


@pytest.mark.parametrize("changes", [{"phase": "reach"}, {"confidence": 0.1}])
def test_what_is_no_pointing_does_not_count(changes: dict) -> None:
    collector = HoldCollector()
    frames = hold(SPOTS[0].target_base_m, n=60)
    feed(collector, [msgspec.structs.replace(f, **changes) for f in frames])
    assert not collector.done
    assert collector.hand_seen
    assert collector.progress == 0.0


def test_the_last_spots_hold_is_not_taken_for_the_next() -> None:
    still = hold(SPOTS[0].target_base_m, n=120)
    collector = HoldCollector()
    feed(collector, still)
    following = HoldCollector(last=collector.frames)
    rest = still[len(still) // 2 :]
    feed(following, rest)
    assert not following.done
    feed(following, moved(hold(SPOTS[1].target_base_m, n=60), 10 * NS_PER_S))
    assert following.done


def test_a_gap_in_the_frames_begins_anew() -> None:
    frames = hold(SPOTS[0].target_base_m, n=60)
    collector = HoldCollector()
    feed(collector, [*frames[:20], *moved(frames, 2 * NS_PER_S)])
    assert collector.frames[0].header.stamp_ns >= 2 * NS_PER_S


def test_the_hand_that_points_is_taken_out_of_two() -> None:
    pointing = hold(SPOTS[0].target_base_m)
    other = [
        msgspec.structs.replace(f, track_id=2, confidence=0.2) for f in hold(SPOTS[1].target_base_m)
    ]
    both = held_between([*pointing, *other], 0, NS_PER_S)
    assert {p.track_id for p in both} == {1}
    few = held_between(pointing, 100 * NS_PER_MS, 300 * NS_PER_MS)
    assert len(few) == 6 or len(few) == 7
    assert held_between(pointing, 5 * NS_PER_S, 6 * NS_PER_S) == []


def test_spots_come_as_text_or_file(tmp_path: Path) -> None:
    listed = read_spots("0.4,0,0; 0.25,-0.3,0.1")
    assert [(s.name, s.target_base_m) for s in listed] == [
        ("1", (0.4, 0.0, 0.0)),
        ("2", (0.25, -0.3, 0.1)),
    ]
    path = tmp_path / "spots.json"
    path.write_text(
        '{"spots": [{"target_base_m": [0.4, 0, 0], "name": "cup"},'
        ' {"target_base_m": [0.2, 0, 0], "video": "a.mp4", "from_s": 1, "to_s": 2.5}]}'
    )
    listed = read_spots(str(path))
    assert [s.name for s in listed] == ["cup", "2"]
    assert (listed[1].video, listed[1].from_s, listed[1].to_s) == ("a.mp4", 1.0, 2.5)


@pytest.mark.parametrize("text", ["", "0.4,0", "a,b,c", "0.4,0,nan"])
def test_text_that_is_no_spots(text: str) -> None:
    with pytest.raises(UsageError, match="neither a JSON file nor"):
        read_spots(text)


def test_files_that_are_no_spots(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="cannot read the spots"):
        read_spots(str(tmp_path / "none.json"))
    path = tmp_path / "spots.json"
    path.write_text('{"spots": [{"target_base_m": [1, 2]}]}')
    with pytest.raises(CalibrationError, match="target_base_m"):
        read_spots(str(path))
