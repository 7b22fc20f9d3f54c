"""Texts made by a grammar from a seed: stories to train on, minimal pairs to evaluate with."""
