"""Run the command line with ``python -m napari_diamant``."""

import sys

from napari_diamant.cli import main

if __name__ == "__main__":
    sys.exit(main())
