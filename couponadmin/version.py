"""The version shown in the foot of each staff page."""

VERSION = "0.1.0"
