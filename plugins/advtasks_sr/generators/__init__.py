"""Networks that enlarge: RGB (N, 3, h, w) in [0, 1] to (N, 3, h·scale, w·scale), not clamped."""

from advtasks_sr.generators.compact import Compact
from advtasks_sr.generators.rrdb import RRDBNet
from advtasks_sr.generators.safmn import SAFMN
from advtasks_sr.generators.span import SPAN
from advtasks_sr.generators.srresnet import SRResNet

__all__ = ["SAFMN", "SPAN", "Compact", "RRDBNet", "SRResNet"]
