"""`python -m station`: the command `station`."""

import sys

from station.commands.main import main

sys.exit(main())
