"""DIAMANT for napari: attention maps as inputs, masks corrected by hand, models that learn from them."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("napari-diamant")
except PackageNotFoundError:  # a checkout that was never installed
    __version__ = "0+unknown"
