"""The project's own architecture, in the place that a checkout has it in."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from symmetric import SymmetricReasoningModel_ACTV1  # noqa: E402, F401
