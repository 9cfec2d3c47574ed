"""Runs the verifiers of examples/verify against an issuer whose tokens are good and bad, and whose keys rotate."""
