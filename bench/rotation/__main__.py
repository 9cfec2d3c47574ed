"""Makes `python -m bench.rotation` the command line. Knows nothing else."""

from bench.rotation.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
