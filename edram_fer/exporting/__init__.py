"""Write a model as a file for another runtime: ONNX Runtime, LiteRT, or TensorFlow without Keras."""

from edram_fer.exporting.export import Exported, export

__all__ = ["Exported", "export"]
