"""What we ask of each provider, in one shape; see `port.py`."""
