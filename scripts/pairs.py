"""`pellucid score` of this checkout."""

import runpy

runpy.run_path(__file__.removesuffix("pairs.py") + "pellucid.py", {"VERB": "score"}, __name__)
