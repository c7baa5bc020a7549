"""The recipes that made the bundled model."""
