"""`pellucid publish` of this checkout."""

import runpy

runpy.run_path(__file__.removesuffix("publish.py") + "pellucid.py", {"VERB": "publish"}, __name__)
