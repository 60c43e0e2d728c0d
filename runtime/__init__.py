"""What runs on the robot: bus, nodes, graph, daemon, engines, and the command line."""
