"""`python -m fastcopy`: the command `fastcopy`."""

import sys

from .cli import main

sys.exit(main())
