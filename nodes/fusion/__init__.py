"""Fusion: what was said and where the hand pointed become one command, a question, or nothing.

    python -c "from deixis.nodes.fusion import FusionNode; print(*FusionNode.inputs)"

The evidence of a decision travels with it; nothing is ever guessed.
"""

from deixis.nodes.fusion.node import FusionNode

__all__ = ["FusionNode"]
