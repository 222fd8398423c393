"""What cannot be set up or done in the sandbox."""

from collections.abc import Mapping, Sequence


class WorldError(ValueError):
    """Something that cannot be set up so; the sentence says why."""


class FieldsError(WorldError):
    """A coupon that cannot be made so; `details` are the API's fields and messages."""

    def __init__(self, details: Sequence[Mapping[str, str]]) -> None:
        said = (f"{row['property']}: {row['message']}." for row in details)
        super().__init__(" ".join(said))
        self.details = details
