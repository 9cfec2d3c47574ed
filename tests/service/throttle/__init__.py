"""The throttle of logins, part by part."""
