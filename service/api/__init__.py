"""The HTTP API: routers over what the desk and the store say."""
