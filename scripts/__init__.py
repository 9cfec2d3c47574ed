"""The commands of this repository. Most are files of bash; `releasing` is what `scripts/release` runs."""
