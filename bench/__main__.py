"""Makes `python -m bench` the command line. Knows nothing else.

`bench.cli` has what the commands do.
"""

from bench.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
