"""The toolchain: pretrained weights → torch → ONNX → a verified bundle."""
