"""MediaPipe's own hands on the same pictures and videos, to compare with.

deixis bench hands --data FOLDER --mediapipe

It needs ``mediapipe==0.10.21`` beside deixis, which asks for numpy 1: give it an environment of its
own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np

from deixis.export.bench.hands_golden import Golden
from deixis.export.bench.hands_playing import IMAGE_PASSES, FoundHand, Image, read_frames
from deixis.runtime.errors import DeixisError


class MediaPipePlayer:
    """``mediapipe.solutions.hands`` with the full models.

    Args:
        max_hands: How many hands it follows.

    Raises:
        DeixisError: The package is not installed.
    """

    gives_rays = False

    def __init__(self, max_hands: int = 2) -> None:
        try:
            import mediapipe
        except ImportError as cause:
            raise DeixisError(
                f"MediaPipe cannot be imported: {cause}",
                hint="an environment of its own: pip install deixis mediapipe==0.10.21 'numpy<2'",
            ) from cause
        self._hands = mediapipe.solutions.hands.Hands
        self._max_hands = max_hands

    def play(self, golden: Golden) -> Iterator[tuple[list[FoundHand], list[float]]]:
        """Show a picture several times (only the last look counts), a video once.

        Raises:
            MediaError: The file cannot be read, or the video ends too soon.
        """
        with self._hands(max_num_hands=self._max_hands, model_complexity=1) as hands:
            for image, _ in read_frames(golden):
                times_ms = []
                for _ in range(1 if golden.is_video else IMAGE_PASSES):
                    before_s = time.perf_counter()
                    result = hands.process(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
                    times_ms.append(1000 * (time.perf_counter() - before_s))
                yield _found(result, image), times_ms


def _found(result: Any, image: Image) -> list[FoundHand]:
    size = np.array(image.shape[1::-1], np.float64)
    return [
        FoundHand(
            # Its coordinates count from the picture's corner, ours from the first pixel's centre.
            landmarks_px=np.array([[p.x, p.y] for p in points.landmark]) * size - 0.5,
            world_m=np.array([[p.x, p.y, p.z] for p in world.landmark]),
        )
        for points, world in zip(
            result.multi_hand_landmarks or (), result.multi_hand_world_landmarks or (), strict=True
        )
    ]
