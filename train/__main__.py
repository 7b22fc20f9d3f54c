"""The command, as `python -m train`, as `pellucid` where it is installed, and as the scripts of a checkout run it."""

import signal
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb with its arguments; returns the exit status. While imports run, Ctrl-C ends the program at once."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # which would show where in an import it came
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from train import cli

    return cli.main(arguments)


if __name__ == "__main__":
    sys.exit(main())
