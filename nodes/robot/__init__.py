"""The robot: takes commands, obeys limits, keeps a queue, and drives an arm and a mobile base.

    python -c "from deixis.nodes.robot import RobotNode; print(*RobotNode.outputs)"

A real robot is put in by implementing :class:`deixis.nodes.robot.driver.RobotDriver`.
"""

from deixis.nodes.robot.node import RobotNode

__all__ = ["RobotNode"]
