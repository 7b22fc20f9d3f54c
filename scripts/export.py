"""`pellucid export` of this checkout."""

import runpy

runpy.run_path(__file__.removesuffix("export.py") + "pellucid.py", {"VERB": "export"}, __name__)
