"""Loading the user's encoder and finding its parts from the model itself.

Depth, blocks and pooling are read off the loaded module, never off a list of model names, so a new
architecture works as soon as transformers can load it.
"""

from probes.encoder._encoder import EMBEDDINGS, Blocks, Encoder
from probes.encoder._load import encoder_within, find_blocks, load_encoder
from probes.encoder._rows import RowEmbedding

__all__ = [
    "EMBEDDINGS",
    "Blocks",
    "Encoder",
    "RowEmbedding",
    "encoder_within",
    "find_blocks",
    "load_encoder",
]
