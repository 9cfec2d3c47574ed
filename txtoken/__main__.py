"""`python -m txtoken` is `txtoken`: it blocks signals before it loads the program, and runs it. Knows no command."""

import gc
import sys

from txtoken.cli import early_signals

early_signals.block()
gc.disable()  # what is loaded is no garbage: to look for some in it takes a tenth of the time. `serve` and `demo` turn it on

from txtoken.cli import main as command_line  # noqa: E402 - a signal that comes while this is loaded has to wait
from txtoken.cli.exit_codes import FAILED  # noqa: E402 - so does this


def main() -> int:
    """Run one command as this process. Returns its exit code."""
    try:
        return command_line.main()
    except KeyboardInterrupt:  # while another error was handled
        return FAILED
    finally:
        early_signals.block()  # they could only disturb the end
        gc.freeze()  # nor does Python have to look for garbage then, which takes 13 ms of `check`


if __name__ == "__main__":
    sys.exit(main())
