"""The version, apart from the package's root, which nobody imports."""

VERSION = "1.0.0"
