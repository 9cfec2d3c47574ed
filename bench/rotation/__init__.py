"""Rotation under load: two services with one secret whose keys rotate every few seconds, and verifiers that check every token.

What calls what, from the top:

    __main__, cli      arguments become one run, its findings a report
    replicas           the services as processes, and the API behind them
    checker            logs in at each, has each token checked at the other, verifies it by itself, until its end and after
    jwks_cache         the JWKS of one service, kept for as long as it allows
    findings           what was seen
"""
