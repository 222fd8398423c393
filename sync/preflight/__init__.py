"""What becomes of a campaign on our own page and at each provider, before it happens.

`facts.py` reads what there is to know, `ours.py`, `line.py`, `paddle.py` and `vivoldi.py`
make lines of it without a database, `checking.py` puts them together. A line carries the
value that would be sent, so whoever publishes builds the request from the same lines.
"""
