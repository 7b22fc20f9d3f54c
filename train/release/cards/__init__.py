"""Model card, data card and report page, written from the release's records alone."""
