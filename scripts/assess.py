"""What any model's folder holds of the openness table: `python scripts/assess.py FOLDER [--mof mof.yml] [--json]`.

Nothing in the folder is run or unpickled. Exit status: 0 no must-item is without a file of its kind, 1 some is, 2 the
folder cannot be looked at.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

sys.dont_write_bytecode = True  # in a release, whose code this may be, nothing is written
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from train.terminal import reported


def main() -> int:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("folder", type=Path, help="a model as it is handed around: weights, and whatever lies beside")
    parser.add_argument("--mof", type=Path, metavar="FILE", help="what its makers say by the Model Openness Framework")
    parser.add_argument("--json", action="store_true", help="print the table as JSON")
    return reported(assessed, parser.parse_args(), lines, lambda found: int(bool(found["lacking"])))


def assessed(arguments: argparse.Namespace) -> dict[str, Any]:
    from train.release.assess import assess
    from train.release.bounds import MINUTES, limit_memory, limit_time

    limit_memory()  # it opens nothing but files, and reads little of each
    limit_time(MINUTES)

    return assess(arguments.folder, arguments.mof)


def lines(report: dict[str, Any]) -> list[str]:
    """A line an item, must before should, a line a licence, and how many items have which status."""
    found = [
        f"{row['status']:<11}  {row['class']:<6} {row['requirement']}{': ' if row['why'] else ''}{row['why']}"
        for row in report["items"]
    ]
    for each in report["licences"]:
        held = f", reserves uses: {each['restriction']!r}" if each["restriction"] else ""
        found.append(f"licence      {each['where']}: {each['licence'] or 'not known'}, {each['standing']}{held}")
    counts = Counter(row["status"] for row in report["items"] if row["class"] == "must")
    told = ", ".join(f"{counts[status]} {status}" for status in ("found", "not found", "cannot tell"))
    notes = (f"note         {each}" for each in report["notes"])
    return [*found, *notes, f"{counts.total()} must-items by files alone: {told}"]


if __name__ == "__main__":
    sys.exit(main())
