"""One module a verb: `run` gives plain data, VERB.jinja or `lines` tells it to people, `status` is its exit."""
