"""What all hands of a frame do: their gestures, and whether a palm is raised.

signs = SignReader(open_engine(bundle, "gestures"))
sign = signs.update(hands, calibration, stamp_ns)[track_id]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deixis.calibration.store import CameraCalibration
from deixis.nodes.hands.gestures import Gesture, GestureRecognizer
from deixis.nodes.hands.landmarks import MIDDLE
from deixis.nodes.hands.raised_palm import PICTURE_UP, RaisedPalm, Up
from deixis.nodes.hands.tracker import TrackedHand
from deixis.runtime.engines import Engine


@dataclass(frozen=True, slots=True)
class Sign:
    """One hand in one frame.

    Attributes:
        gesture: What it does.
        palm_raised_ns: While its palm is raised: capture time of the first frame that showed it.
    """

    gesture: Gesture
    palm_raised_ns: int | None


class SignReader:
    """Follows the gestures of hands.

    Args:
        engine: The gesture model.
        palms: Whether to look for raised palms.
    """

    def __init__(self, engine: Engine, palms: bool = True) -> None:
        self._recognizer = GestureRecognizer(engine)
        self._look_for_palms = palms
        self._palms: dict[int, RaisedPalm] = {}

    def reset(self) -> None:
        """Forget all hands."""
        self._recognizer.reset()
        self._palms.clear()

    def update(
        self, hands: Sequence[TrackedHand], calibration: CameraCalibration | None, stamp_ns: int
    ) -> dict[int, Sign]:
        """Take the hands of one frame.

        Args:
            hands: The hands; what was known of others is forgotten.
            calibration: The camera, at the size of its pictures; without it the picture's up is up.
            stamp_ns: Capture time.

        Returns:
            Sign by track id.

        Raises:
            EngineError: The model failed.
        """
        ups = [
            PICTURE_UP if calibration is None else Up.at(calibration, h.landmarks_px[MIDDLE[0]])
            for h in hands
        ]
        gestures = self._recognizer.update(hands, stamp_ns, [up.angle_rad for up in ups])
        self._palms = {h.track_id: self._palms.get(h.track_id, RaisedPalm()) for h in hands}
        return {
            hand.track_id: Sign(
                gestures[hand.track_id],
                self._palms[hand.track_id].update(hand, gestures[hand.track_id], up, stamp_ns)
                if self._look_for_palms
                else None,
            )
            for hand, up in zip(hands, ups, strict=True)
        }
