"""`python -m txtoken` is `txtoken`."""

import sys

from txtoken.cli import main

if __name__ == "__main__":
    sys.exit(main())
