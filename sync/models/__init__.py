"""What providers tell us, what they hold of ours, and what is under way there."""

from sync.models.history import Step
from sync.models.inbound import InboundEvent
from sync.models.publishing import Publication, RemoteCoupon
from sync.models.pulling import Difference, Run
from sync.models.searching import Search
from sync.models.spending import SpentCount
from sync.models.uses import Mirror, Use

__all__ = [
    "Difference",
    "InboundEvent",
    "Mirror",
    "Publication",
    "RemoteCoupon",
    "Run",
    "Search",
    "SpentCount",
    "Step",
    "Use",
]
