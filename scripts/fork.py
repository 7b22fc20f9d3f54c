"""`pellucid fork` of this checkout."""

import runpy

runpy.run_path(__file__.removesuffix("fork.py") + "pellucid.py", {"VERB": "fork"}, __name__)
