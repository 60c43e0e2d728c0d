"""deixis: a person speaks and points, and the robot does it, entirely on the robot."""

__version__ = "0.1.0"
