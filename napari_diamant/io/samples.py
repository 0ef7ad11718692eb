"""Where the sample images lie."""

from __future__ import annotations

from pathlib import Path

from napari_diamant.errors import UserError


def sample_folder() -> Path:
    """Find the sample images: in the installed package, or beside it in a checkout.

    Raises
    ------
    UserError
        When the installation lacks them.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "sample_data", package.parent / "sample_data"):
        if (folder / "tissue" / "images").is_dir():
            return folder
    raise UserError(
        f"The sample images must lie in {package / 'sample_data'}, got none. Install the package again."
    )
