"""Write a model as a file for another runtime: ONNX Runtime, LiteRT, or TensorFlow without Keras."""

from edram_fer.exporting.export import Exported, default_path, export

__all__ = ["Exported", "default_path", "export"]
