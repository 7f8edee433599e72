"""Run exported models (.onnx, .tflite) with NumPy and their runtime alone: neither Keras nor TensorFlow is imported."""

from edram_fer.runtime.description import Description
from edram_fer.runtime.models import ExportedModel, LiteRTModel, OnnxModel, load_exported

__all__ = ["Description", "ExportedModel", "LiteRTModel", "OnnxModel", "load_exported"]
