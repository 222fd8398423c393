"""What cannot be set up or done in the sandbox."""


class WorldError(ValueError):
    """Something that cannot be set up so; the sentence says why."""
