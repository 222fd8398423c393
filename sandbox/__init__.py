"""LINE, Paddle and Vivoldi on your own desk: a server that answers like them.

It shows a phone and the dashboards, for trying things out and for tests. It knows no
passwords and asks for none on its pages, so keep it on a loopback address and never
let the internet reach it.
"""
