"""Sample articles for the demo: invented Indonesian news with gold event, story and copy labels."""
