"""Makes `python -m bench.withstand` the command line. Knows nothing else.

What the command does stands in `bench.withstand.cli`.
"""

from bench.withstand.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
