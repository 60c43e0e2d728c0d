"""The networks as plain torch modules, with their pretrained weights."""
