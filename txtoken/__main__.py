"""`python -m txtoken` is `txtoken`: blocks signals, then loads and runs the program. Knows no command."""

import sys


def _show(kind: type[BaseException], error: BaseException, traceback: object) -> None:
    """Show an error as Python does, unless it is Ctrl-C, which may come before it can be blocked."""
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)  # type: ignore[arg-type] # whose type takes time to load


sys.excepthook = _show

import gc  # noqa: E402 - it takes time to load, in which Ctrl-C may come

from txtoken.cli import early_signals  # noqa: E402 - likewise

early_signals.block()
gc.disable()  # loaded modules are not garbage: searching them takes a tenth of the time. services enable it

from txtoken.cli import main as command_line  # noqa: E402 - a signal that arrives while this loads has to wait
from txtoken.cli.exit_codes import FAILED  # noqa: E402 - likewise


def main() -> int:
    """Run one command as this process. Returns its exit code."""
    try:
        return command_line.main()
    except KeyboardInterrupt:  # while another error was handled
        return FAILED
    finally:
        early_signals.block()  # they could only disturb the end
        gc.freeze()  # or Python collects garbage at its exit, which takes 13 ms of `check`


if __name__ == "__main__":
    sys.exit(main())
