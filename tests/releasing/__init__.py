"""Tests of scripts/releasing."""
