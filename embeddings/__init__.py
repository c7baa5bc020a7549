"""Text in, numbers out: knows no stories, no SQL and no HTTP."""
