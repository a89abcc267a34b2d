"""`python -m service.cli`: how `ragstone up` starts its parts, whatever is on the PATH."""

import sys

from service.cli import main

if __name__ == "__main__":
    sys.exit(main())
