"""Information maps of a run: by `occlusion` and by `bubbles`; `outcome` scores them, `drawing` makes their figures."""

from edram_fer.studies.saliency.bubbles import bubbles
from edram_fer.studies.saliency.occlusion import occlusion

__all__ = ["bubbles", "occlusion"]
