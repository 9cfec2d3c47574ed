"""`python -m scripts.releasing`, as `scripts/release` starts it."""

import sys

from scripts.releasing.command import main

sys.exit(main(sys.argv[1:]))
