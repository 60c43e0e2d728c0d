"""Camera intrinsics and extrinsics, and where they are stored."""
