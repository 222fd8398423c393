"""What providers tell us, what they hold of ours, and what is under way there."""

from sync.models.history import Step
from sync.models.inbound import InboundEvent
from sync.models.publishing import Publication, RemoteCoupon
from sync.models.pulling import Difference, Run

__all__ = [
    "Difference",
    "InboundEvent",
    "Publication",
    "RemoteCoupon",
    "Run",
    "Step",
]
