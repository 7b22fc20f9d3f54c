"""`pellucid replay` of this checkout."""

import runpy

runpy.run_path(__file__.removesuffix("replay.py") + "pellucid.py", {"VERB": "replay"}, __name__)
