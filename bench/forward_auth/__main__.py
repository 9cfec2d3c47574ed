"""Makes `python -m bench.forward_auth` the command line. Knows nothing else."""

from bench.forward_auth.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
