"""Networks by name; importing this package imports no torch: a network's module waits until it is built."""

NETWORKS: dict[str, str] = {
    "unet": "napari_diamant.models.unet:UNet",
    "diamant": "napari_diamant.models.diamant:Diamant",
}
"""Architecture name to ``module:class``; each class is built from one `ModelConfig`."""
