"""Generation of text from released weights: sampling, and an HTTP server."""
