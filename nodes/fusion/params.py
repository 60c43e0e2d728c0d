"""Parameters of the fusion node, all with defaults that a graph file may override.

    python -c "from deixis.nodes.fusion.params import FusionParams; print(FusionParams())"

Angles are in degrees and times in milliseconds or seconds here, as people write them.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from deixis.nodes.fusion.space import Area
from deixis.runtime.messages import Vec3


class FusionParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of :class:`deixis.nodes.fusion.FusionNode`.

    Attributes:
        intents: Intents that may act; all of the table by default. ``stop`` always may.
        ray_history_s: How long pointing rays are kept (longer than the longest utterance).
        scene_history_s: How long scenes are kept.
        personal_sigma_deg: Pointing error per axis of a person who was not calibrated.
        noun_floor: Probability that a wrong name is said, heard or seen.
        colour_floor: The same for colours.
        unknown_share: Probability that a thing of unknown name (or colour) is called what was said.
        none_prior: Prior probability that no object of the scene is meant.
        named_gesture_weight: Weight of a gesture beside a named object ("the red cup").
        container_prior: Prior probability that *there* means a container under the ray.
        pointed_fit: Least probability of the words given an object that was pointed at.
        named_fit: The same for an object that is known by its words alone.
        act_threshold: Least posterior of a command that acts.
        reject_threshold: Least posterior that is worth a question.
        margin: Least difference between the probabilities of the best two referents, or readings.
        stop_confidence: Least confidence of a partial *stop*.
        palm_stop: Whether a raised palm stops the robot.
        referent_ttl_ms: An object that was not seen for longer is not acted on.
        last_spoken_s: How long *it* may mean the object of the last command.
        command_ttl_ms: How long after the decision the robot may still receive the command.
        place_sigma_limit_m: A pointed-at place that is less certain than this is asked about.
        containers: Names of things that something can be put into.
        supports: Names of things that something can be put onto.
        workspace: Where on the table things may be put; as in the objects node.
        clearance_m: Least distance between what is put down and what stands there.
        beside_gaps_m: Distances between things that stand beside each other, the best first.
        unseen_radius_m: Radius of a thing to be put down that was never seen.
        sides_of: Whose left and front is meant: the speaker's where their eye was seen, else the
            robot's; or always the robot's.
        speaker_s: How long the speaker is taken to stay where their eye was last seen.
        teach_confidence: Least confidence of the words that give a name; they must be heard as
            they are written, too.
        teach_wait_ms: How long a taught name may take to show in the scene.
        places: Points (base frame) that have a name; others are looked for among the objects.
    """

    intents: tuple[str, ...] | None = None
    ray_history_s: float = 15.0
    scene_history_s: float = 2.0
    personal_sigma_deg: float = 3.5
    noun_floor: float = 0.01
    colour_floor: float = 0.02
    unknown_share: float = 0.1
    none_prior: float = 0.02
    named_gesture_weight: float = 0.1
    container_prior: float = 0.5
    pointed_fit: float = 0.05
    named_fit: float = 0.25
    act_threshold: float = 0.4
    reject_threshold: float = 0.15
    margin: float = 0.5
    stop_confidence: float = 0.5
    palm_stop: bool = True
    referent_ttl_ms: float = 5000.0
    last_spoken_s: float = 120.0
    command_ttl_ms: float = 1500.0
    place_sigma_limit_m: float = 0.15
    containers: tuple[str, ...] = ("box", "bowl", "basket", "tray", "drawer")
    supports: tuple[str, ...] = ("plate", "book", "shelf", "table")
    workspace: Area = Area()
    clearance_m: float = 0.01
    beside_gaps_m: tuple[float, ...] = (0.03, 0.05, 0.08, 0.12)
    unseen_radius_m: float = 0.04
    sides_of: Literal["speaker", "robot"] = "speaker"
    speaker_s: float = 60.0
    teach_confidence: float = 0.9
    teach_wait_ms: float = 1200.0
    places: dict[str, Vec3] = msgspec.field(default_factory=lambda: {"table": (0.45, 0.0, 0.0)})
