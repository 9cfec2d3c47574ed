"""Keys: what signs and verifies. Knows algorithms, key material and times; knows no claims and no files."""
