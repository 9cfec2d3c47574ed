"""Makes `python -m bench.withstand` the command line. Knows nothing else.

`bench.withstand.cli` has what the command does.
"""

from bench.withstand.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
