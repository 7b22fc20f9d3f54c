"""One module a verb: `run` gives a report, VERB.jinja or `lines` tells it to people, `status` is its exit."""
