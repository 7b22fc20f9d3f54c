"""Sign a release, or take others' signed statements into it: `python scripts/sign.py RELEASE --key PEM`.

`--collect FILE` takes in a statement that `--attest` of replay or reproduce wrote. Neither changes the identity; both
add a witness, and its line to MANIFEST.json. A key: `openssl genpkey -algorithm ed25519 -out key.pem`.
OpenSSF's own `model_signing sign key RELEASE --private_key KEY --signature FILE` takes the same folder and a P-256 key;
it overlooks files such as `.gitattributes`, which `verify` does not.
"""

import argparse
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # in a release, whose code this may be, nothing is written
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from train.terminal import guarded


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("release", type=Path, help="the folder that holds MANIFEST.json")
    parser.add_argument("--key", type=Path, metavar="PEM", help="a private key, Ed25519 or P-256, without a password")
    parser.add_argument("--collect", type=Path, nargs="+", default=[], metavar="FILE", help="statements of checkers")
    asked = parser.parse_args(arguments)
    if not asked.key and not asked.collect:
        parser.error("give --key, or --collect")
    from train.release.attest import dsse, statements
    from train.release.prove.reproduce import require_whole

    require_whole(asked.release)
    key = dsse.private_key(asked.key) if asked.key else None
    for path in asked.collect:
        print(f"statement  {statements.collect(asked.release, path.read_bytes())}")
    if key:  # last, so that it covers what was collected
        said = statements.statement(asked.release, dsse.PROVENANCE, statements.provenance(asked.release))
        print(f"statement  {statements.collect(asked.release, statements.sign(said, key))}")


if __name__ == "__main__":
    guarded(main, sys.argv[1:])
