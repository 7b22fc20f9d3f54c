"""The command of this checkout: `python scripts/pellucid.py VERB ...`, and what the other scripts of verbs run."""

import sys
from pathlib import Path

sys.dont_write_bytecode = True  # in a release, whose code this may be, nothing is written
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit("error: Python 3.11.2 or newer is needed; `make setup` makes .venv with all that is locked")
from train.__main__ import main

if __name__ == "__main__":
    sys.exit(main([*filter(None, [globals().get("VERB")]), *sys.argv[1:]]))
