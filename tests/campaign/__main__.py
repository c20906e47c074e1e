"""`python -m tests.campaign` is the program of the campaign."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

from campaign.program import main  # noqa: E402 (the folder was not on the path)

if __name__ == "__main__":
    sys.exit(main())
