"""LINE on your own desk: a server that answers like LINE and shows a phone.

For trying things out and for tests. It knows no passwords and asks for none on
its pages, so keep it on a loopback address and never let the internet reach it.
"""
