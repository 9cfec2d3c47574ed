"""README.md and docs/ beside the service: their commands run, their links lead somewhere, their tables are those of the code."""
