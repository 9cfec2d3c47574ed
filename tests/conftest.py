"""What all tests share."""

from __future__ import annotations

from hypothesis import settings

# The time of one example says nothing on a busy machine. Examples that failed are no file of the repository.
settings.register_profile("txtoken", deadline=None, database=None)
settings.load_profile("txtoken")
