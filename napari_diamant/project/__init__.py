"""The project folder and the verbs of the product; importing it imports neither torch nor Qt."""

from napari_diamant.project.project import Project

__all__ = ["Project"]
