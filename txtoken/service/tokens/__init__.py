"""JSON Web Tokens: claims into tokens, tokens into verdicts (contract §3.1, §3.2). Knows no clock, no socket, no response."""
