"""All SQL: tables, connections, what is written and what is read."""
