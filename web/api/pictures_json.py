"""Pictures of a job in JSON: their addresses, and the layers there are."""

from __future__ import annotations

from pydantic import BaseModel

from jobs.services.pictures import JobPictures, ProgramPictures


class LayerOut(BaseModel):
    """One layer of a print; numbers begin at 1."""

    number: int
    z_mm: float
    time_s: float


class ProgramPicturesOut(BaseModel):
    """Pictures of the program for one machine.

    `layer` is an address with `{number}` in it, from 1 to `layer_count`; `layers` has the first
    2,000. `features`, `speed_mm_s` and `heights_mm` are null until a picture has been drawn.
    """

    machine: str
    overview: str | None
    cut: str | None
    layer: str | None
    layer_count: int
    layers: list[LayerOut]
    features: list[str] | None
    speed_mm_s: tuple[float, float] | None
    heights_mm: tuple[float, float] | None

    @classmethod
    def of(cls, base: str, one: ProgramPictures) -> ProgramPicturesOut:
        """Return the JSON form."""
        query = f".png?machine={one.machine_slug}"
        return cls(
            machine=one.machine_slug,
            overview=f"{base}/overview{query}" if one.prints else None,
            cut=None if one.prints else f"{base}/cut{query}",
            layer=f"{base}/layer-{{number}}{query}" if one.layer_count and one.prints else None,
            layer_count=one.layer_count,
            layers=[
                LayerOut(number=number, z_mm=z, time_s=seconds)
                for number, (z, seconds) in enumerate(one.layers, 1)
            ],
            features=None if one.features is None else list(one.features),
            speed_mm_s=one.speed,
            heights_mm=one.heights,
        )


class PicturesOut(BaseModel):
    """What there is to see of a job; `theme=dark` and `by=speed` may be added to addresses."""

    mesh: str | None
    programs: list[ProgramPicturesOut]

    @classmethod
    def of(cls, job_id: str, pictures: JobPictures) -> PicturesOut:
        """Return the JSON form."""
        base = f"/api/v1/jobs/{job_id}/pictures"
        return cls(
            mesh=f"{base}/mesh.png" if pictures.mesh else None,
            programs=[ProgramPicturesOut.of(base, one) for one in pictures.programs],
        )
