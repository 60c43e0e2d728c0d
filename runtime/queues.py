"""The queue of one input: newest only or all in order, and every drop counted.

queue = InputQueue(topics.SCENE, "latest", depth=1, rank=0)
queue.push(0, "objects/scene", payload)
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from deixis.runtime import messages as m
from deixis.runtime.topics import Policy, Topic


@dataclass
class InputQueue:
    """What waits at one input, by its policy, and what was lost on the way.

    Attributes:
        topic: What arrives.
        policy: ``latest`` keeps the newest message, ``all`` keeps ``depth`` of them.
        depth: Longest queue of ``all``.
        rank: How urgent the input is; lower is served first.
        received: Messages handled.
        dropped: Messages that the policy or the way here lost.
        refused: Messages that did not decode.
    """

    topic: Topic
    policy: Policy
    depth: int
    rank: int
    queue: deque[tuple[int, str, bytes | m.Message]] = field(default_factory=deque)
    received: int = 0
    dropped: int = 0
    refused: int = 0
    # Per source: number of the last message handled, and how many the policy dropped since.
    last_seq: dict[str, int] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)

    def push(self, arrival: int, source: str, item: bytes | m.Message) -> None:
        """Add a message; the oldest makes room when the queue is full.

        Args:
            arrival: Number of arrival over all inputs.
            source: ``node/output`` it came from.
            item: Its payload, or the decoded message.
        """
        limit = 1 if self.policy == "latest" else self.depth
        while len(self.queue) >= limit:
            _, old_source, _ = self.queue.popleft()
            self.dropped += 1
            self.skipped[old_source] = self.skipped.get(old_source, 0) + 1
        self.queue.append((arrival, source, item))

    def note_seq(self, source: str, seq: int) -> None:
        """Count messages that never arrived (the sender's limit was reached)."""
        last = self.last_seq.get(source)
        if last is not None and seq > last:
            self.dropped += max(0, seq - last - 1 - self.skipped.get(source, 0))
        self.last_seq[source] = seq
        self.skipped[source] = 0
