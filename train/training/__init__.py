"""From tokens to weights: loop, optimizer, numerics, checkpoint, ranks, log."""
