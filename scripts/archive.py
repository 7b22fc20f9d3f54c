"""`pellucid archive` of this checkout."""

import runpy

runpy.run_path(__file__.removesuffix("archive.py") + "pellucid.py", {"VERB": "archive"}, __name__)
