"""`pellucid explore` of this checkout."""

import runpy

runpy.run_path(__file__.removesuffix("explore.py") + "pellucid.py", {"VERB": "explore"}, __name__)
