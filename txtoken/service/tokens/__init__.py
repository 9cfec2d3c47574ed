"""JSON Web Tokens: turns claims into tokens, and tokens into verdicts (contract §3.1, §3.2). Knows no clock, socket or
response.
"""
