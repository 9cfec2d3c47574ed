"""Makes `python -m bench.mutation` the command line. Knows nothing else.

`bench.mutation.cli` has what the command does.
"""

from bench.mutation.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
