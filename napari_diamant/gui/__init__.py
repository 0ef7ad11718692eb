"""The window: the only code that knows napari and Qt, and which never imports torch."""
