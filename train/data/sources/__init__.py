"""Sources: what is pinned, where it may be fetched from, and fetching it."""
