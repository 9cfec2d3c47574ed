"""Makes `python -m bench` the command line. Knows nothing else.

What the commands do stands in `bench.cli`.
"""

from bench.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
