"""Articles to stories: decide, keep, show."""
