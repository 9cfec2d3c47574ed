"""`python -m txtoken` is `txtoken`: it blocks signals before it loads the program, and runs it. Knows no command."""

import sys

from txtoken.cli import early_signals

early_signals.block()

from txtoken.cli.main import main  # noqa: E402 - a signal that comes while this is loaded has to wait

if __name__ == "__main__":
    sys.exit(main())
