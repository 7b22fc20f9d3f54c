"""From tokens to weights: loop, optimizer, numerics, checkpoint, log."""
