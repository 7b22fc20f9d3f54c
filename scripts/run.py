"""`pellucid release` of this checkout."""

import runpy

runpy.run_path(__file__.removesuffix("run.py") + "pellucid.py", {"VERB": "release"}, __name__)
