"""The tokenizer of an encoder file."""

from collections.abc import Iterable, Mapping, Sequence

from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram
from transformers import PreTrainedTokenizerFast

from probes.bundled._file import EncoderFile

_METASPACE = "▁"
_MASK = "<mask>"
_Roles = dict[str, str | AddedToken | Sequence[str | AddedToken]]


def to_tokenizer(file: EncoderFile) -> PreTrainedTokenizerFast:
    """The tokenizer: NFKC, split at white space, Metaspace, Unigram, ``<s> $A </s>``.

    Pairs are joined as ``<s> $A </s> </s> $B </s>``, as XLM-R does.
    """
    bos, eos, pad, unk = (file.pieces[i][0] for i in file.special)
    roles: _Roles = {
        "bos_token": bos,
        "eos_token": eos,
        "cls_token": bos,
        "sep_token": eos,
        "pad_token": pad,
        "unk_token": unk,
    }
    if any(piece == _MASK for piece, _ in file.pieces):
        # It swallows the space before it, so that it stands for a whole word.
        roles["mask_token"] = AddedToken(_MASK, lstrip=True, special=True)

    backend = Tokenizer(Unigram())
    backend.normalizer = _normalizer(file.normalisation)
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Metaspace(replacement=_METASPACE, prepend_scheme="always"),
        ]
    )
    backend.decoder = decoders.Metaspace(replacement=_METASPACE, prepend_scheme="always")
    backend.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A {eos}",
        pair=f"{bos} $A {eos} {eos} $B {eos}",
        special_tokens=[(bos, file.special.bos), (eos, file.special.eos)],
    )
    tokenizer = fast_tokenizer(backend, file.positions)
    # Put in only now: the constructor copies its tokenizer, which takes seconds with a large vocabulary.
    tokenizer.backend_tokenizer.model = Unigram(list(file.pieces), file.special.unk, byte_fallback=False)
    tokenizer.add_special_tokens(roles)
    return tokenizer


def fast_tokenizer(backend: Tokenizer, max_length: int) -> PreTrainedTokenizerFast:
    """The tokenizer as transformers wants it, its special tokens still unnamed."""
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=max_length,
        model_input_names=["input_ids", "attention_mask"],
    )


def _normalizer(table: Mapping[str, str]) -> normalizers.Normalizer:
    """SentencePiece's ``nmt_nfkc``: NFKC, after some characters were dropped or made a space.

    The table lists NFKC character by character; the library's own NFKC also composes sequences of them,
    as SentencePiece does. What is left to take from the table is where it goes beyond NFKC.
    """
    dropped = "".join(character for character, output in table.items() if output == "")
    blank = "".join(character for character, output in table.items() if output == " ")
    steps: list[normalizers.Normalizer] = []
    for characters, replacement in ((dropped, ""), (blank, " ")):
        if characters:
            pattern = "".join(f"\\x{{{ord(character):x}}}" for character in characters)
            steps.append(normalizers.Replace(Regex(f"[{pattern}]"), replacement))
    return normalizers.Sequence([*steps, normalizers.NFKC()])


def kept_ids(
    tokenizer: PreTrainedTokenizerFast, pieces: Sequence[tuple[str, float]], texts: Iterable[str]
) -> list[int]:
    """Ids of the pieces that the texts use and of those that must not go, ascending."""
    read = list(texts)
    used = tokenizer(read, truncation=False, padding=False, verbose=False)["input_ids"] if read else []
    ids_used = {i for ids in used for i in ids} | set(tokenizer.all_special_ids)
    # An unknown character costs what the least likely piece does, and 10 more: with that piece gone it
    # would become cheaper, and could win over known pieces.
    ids_used.add(min(range(len(pieces)), key=lambda i: pieces[i][1]))
    return sorted(ids_used)


def roles_of(tokenizer: PreTrainedTokenizerFast) -> _Roles:
    """The special tokens by role, with how they treat the spaces around them."""
    added = {token.content: token for token in tokenizer.added_tokens_decoder.values()}
    return {role: added[str(token)] for role, token in tokenizer.special_tokens_map.items()}
