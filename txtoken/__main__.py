"""`python -m txtoken` is `txtoken`: it holds signals back until a command knows what they mean, and runs it."""

import signal
import sys

# To load what a command needs takes a quarter of a second, and more on small machines. A signal that comes meanwhile would end
# the process with nothing said: it waits until `main` has found the command.
signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP, signal.SIGTERM, signal.SIGINT))

from txtoken.cli import main  # noqa: E402 - see above

if __name__ == "__main__":
    sys.exit(main())
