"""The nodes: from microphone and camera to the robot."""
