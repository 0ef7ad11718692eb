"""What a project holds, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_diamant.types import JSON, Sample

if TYPE_CHECKING:
    from napari_diamant.project.project import Project


def status(project: Project) -> JSON:
    """Give samples, effort, models and settings of a project."""
    active = project.active_model()
    samples = [_sample(project, sample) for sample in project.samples()]
    return {
        "folder": str(project.folder),
        "classes": list(project.classes),
        "samples": samples,
        "reviewed": sum(sample["reviewed"] for sample in samples),
        "strokes": sum(sample["strokes"] for sample in samples),
        "minutes": round(sum(sample["minutes"] for sample in samples), 2),
        "models": [record.as_json() for record in project.models()],
        "active_model": None if active is None else active.id,
        "settings": {key: project.settings[key] for key in project.settings if key != "classes"},
    }


def _sample(project: Project, sample: Sample) -> JSON:
    return {
        "id": sample.id,
        "name": sample.name,
        "path": str(sample.path),
        "content_hash": sample.content_hash,
        "shape": list(sample.shape),
        "found": sample.path.exists(),
        "reviewed": sample.reviewed,
        "predicted_by": project.predicted_by(sample.id),
        **project.effort(sample.id),
    }
