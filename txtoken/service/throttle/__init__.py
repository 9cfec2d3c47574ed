"""The throttle of logins: who guesses passwords has to wait (contract §3.7). Knows no connection and no token."""
