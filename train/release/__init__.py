"""What is handed over, and how a stranger checks it: bundle, cards, openness, licences, verify."""
