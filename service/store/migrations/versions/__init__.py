"""One module a migration, each in one transaction."""
