"""The shop's api and its scheduler."""
