"""A smaller vocabulary: an encoder that reads some texts as before, at a fraction of the size."""

import json
from collections.abc import Iterable, Iterator

from tokenizers import Tokenizer
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from probes.bundled._file import parse, with_pieces
from probes.bundled._installed import BundledName, read_bundled
from probes.bundled._model import WORDS, model_with
from probes.bundled._tokenizer import fast_tokenizer, kept_ids, roles_of, to_tokenizer
from probes.errors import InputError

_WORDS_A_TEXT = 200


def trim_vocabulary(
    model: BertModel, tokenizer: PreTrainedTokenizerFast, texts: Iterable[str]
) -> tuple[BertModel, PreTrainedTokenizerFast]:
    """Keep only the pieces that the texts use, and the special ones.

    The texts are tokenised as before, up to the renumbering of the pieces, and their embeddings are
    unchanged. Other texts fall apart into smaller pieces or unknown ones.

    Args:
        model: an encoder; left as it is.
        tokenizer: its tokenizer, a Unigram one; left as it is.
        texts: what the small encoder must be able to read.

    Returns:
        A new model that shares no memory with ``model``, and its tokenizer.

    Raises:
        InputError: if the tokenizer is not a Unigram one.
    """
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    if state["model"]["type"] != "Unigram":
        raise InputError(
            f"The vocabulary of a {state['model']['type']} tokenizer cannot be trimmed: use a Unigram one."
        )
    pieces: list[tuple[str, float]] = state["model"]["vocab"]
    order = kept_ids(tokenizer, pieces, texts)
    renumbered = {old: new for new, old in enumerate(order)}

    state["truncation"] = state["padding"] = None  # leftovers of the last call
    state["model"]["vocab"] = [pieces[i] for i in order]
    state["model"]["unk_id"] = renumbered[state["model"]["unk_id"]]
    for token in state["added_tokens"]:
        token["id"] = renumbered[token["id"]]
    for token in state["post_processor"]["special_tokens"].values():
        token["ids"] = [renumbered[i] for i in token["ids"]]
    trimmed = fast_tokenizer(Tokenizer.from_str(json.dumps(state)), tokenizer.model_max_length)
    trimmed.add_special_tokens(roles_of(tokenizer))

    config = BertConfig.from_dict(model.config.to_dict())
    config.vocab_size = len(order)
    for name in ("pad_token_id", "bos_token_id", "eos_token_id"):
        setattr(config, name, renumbered.get(getattr(config, name)))
    parameters = {name: tensor.clone() for name, tensor in model.state_dict().items() if name != WORDS}
    parameters[WORDS] = model.state_dict()[WORDS][order]
    return model_with(config, parameters), trimmed


def trim_bundled(name: BundledName, texts: Iterable[str]) -> bytes:
    """A file like that of an offline encoder, with only the pieces that the texts use.

    Weights stay in their 4-bit blocks: exactly the same, at an eighth of the size. As for
    :func:`trim_vocabulary`, the texts are tokenised as before, up to the renumbering of the pieces.

    Args:
        name: of the offline encoder.
        texts: what the small encoder must be able to read.

    Returns:
        The bytes of a file for :func:`load_encoder_file`.

    Raises:
        InputError: if the weights are not installed or not the ones expected.
    """
    data, _ = read_bundled(name)
    file = parse(data)
    return with_pieces(data, file, kept_ids(to_tokenizer(file), file.pieces, _words_once(texts)))


def _words_once(texts: Iterable[str]) -> Iterator[str]:
    """All words, each once, in few texts: an offline encoder splits at every space, whatever is around."""
    words = list(dict.fromkeys(word for text in texts for word in text.split(" ")))
    for start in range(0, len(words), _WORDS_A_TEXT):
        yield " ".join(words[start : start + _WORDS_A_TEXT])
