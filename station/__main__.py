"""`python -m station`: the command `station`."""

import sys

from station.cli import main

sys.exit(main())
