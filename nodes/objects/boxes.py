"""Small sums on boxes (x, y, width, height in pixels).

overlap((0, 0, 10, 10), (5, 0, 10, 10))  # 0.33
"""

from __future__ import annotations

from deixis.nodes.objects.source import Box


def intersection(a: Box, b: Box) -> float:
    """Area that two boxes share, square pixels."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(width, 0.0) * max(height, 0.0)


def share_inside(inner: Box, outer: Box) -> float:
    """Share of the first box that lies in the second."""
    return intersection(inner, outer) / max(inner[2] * inner[3], 1e-9)


def overlap(a: Box, b: Box) -> float:
    """Intersection over union."""
    both = intersection(a, b)
    return both / max(a[2] * a[3] + b[2] * b[3] - both, 1e-9)
