"""The throttle of logins: lockouts against password guessing (contract §3.7). Knows no connection and no token."""
