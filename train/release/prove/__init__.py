"""Proofs by computing again: replay of training segments, reproduction of the whole, structural diff."""
