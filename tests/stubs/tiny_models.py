"""Models small enough to be built in a test: random weights in the real file formats, made without a hub."""

import string
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant: "
LETTERS = [*string.ascii_letters, *string.digits, *" .,:;!?'\"()[]{}<>-_=+*/\\#&%$@|~^`\n"]
CONTEXT = 8192
"""Tokens that the model of `write_gguf` can read and write."""


def write_gguf(path: Path, *, width: int = 32, seed: int = 7) -> Path:
    """A llama of one layer whose tokens are single characters; it babbles letters until it is stopped.

    Prompt and answer are counted in characters of `TEMPLATE`'s text. Skips without the package `gguf`.
    """
    gguf = pytest.importorskip("gguf", reason="the package gguf is not installed")
    rng = np.random.default_rng(seed)
    special = ["<unk>", "<s>", "</s>"]
    bytes_ = [f"<0x{value:02X}>" for value in range(256)]
    tokens = [*special, *bytes_, *(letter.replace(" ", "▁") for letter in LETTERS)]
    kind = gguf.TokenType
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(width)
    writer.add_block_count(1)
    writer.add_feed_forward_length(width)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_rope_dimension_count(width // 2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(
        [kind.UNKNOWN, kind.CONTROL, kind.CONTROL, *([kind.BYTE] * 256), *([kind.NORMAL] * len(LETTERS))]
    )
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(TEMPLATE)

    def matrix(rows: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        return rng.normal(size=(rows, width)).astype(np.float32)

    out = matrix(len(tokens))
    out[: len(special) + 256] = 0  # only letters are ever the likeliest
    writer.add_tensor("token_embd.weight", matrix(len(tokens)))
    writer.add_tensor("output.weight", out)
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{name}.weight", np.ones(width, dtype=np.float32))
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        writer.add_tensor(f"blk.0.{name}.weight", matrix(width) / np.float32(np.sqrt(width)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_sentence_transformer(
    folder: Path, *, prompts: Mapping[str, str] | None = None, width: int = 16, seed: int = 7
) -> Path:
    """A BERT of two layers over single letters, mean pooling, saved as sentence-transformers does.

    Skips without the extra `torch`.
    """
    st = pytest.importorskip("sentence_transformers", reason="the extra torch is not installed")
    modules = pytest.importorskip("sentence_transformers.sentence_transformer.modules")
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")

    letters = [*string.ascii_lowercase, *string.digits, *string.punctuation]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    bert = folder / "bert"
    bert.mkdir(parents=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = transformers.BertConfig(
            vocab_size=len(words),
            hidden_size=width,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=width * 2,
            max_position_embeddings=64,
        )
        transformers.BertModel(config).save_pretrained(bert)
    vocabulary = {word: place for place, word in enumerate(words)}
    transformers.BertTokenizerFast(vocab=vocabulary).save_pretrained(bert)
    layers = [modules.Transformer(str(bert)), modules.Pooling(width)]
    st.SentenceTransformer(modules=layers, prompts=dict(prompts or {}), device="cpu").save(str(folder / "model"))
    return folder / "model"


def write_cross_encoder(folder: Path, *, width: int = 16, outputs: int = 1, seed: int = 7) -> Path:
    """A BERT of two layers over single letters that judges pairs of texts, saved as sentence-transformers does.

    Its scores mean nothing, but hang on both texts. Skips without the extra `torch`.
    """
    st = pytest.importorskip("sentence_transformers", reason="the extra torch is not installed")
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")

    letters = [*string.ascii_lowercase, *string.digits, *string.punctuation]
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters)]
    bert = folder / "bert"
    bert.mkdir(parents=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = transformers.BertConfig(
            vocab_size=len(words),
            hidden_size=width,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=width * 2,
            max_position_embeddings=64,
            num_labels=outputs,
            initializer_range=0.5,
        )
        transformers.BertForSequenceClassification(config).save_pretrained(bert)
    vocabulary = {word: place for place, word in enumerate(words)}
    transformers.BertTokenizerFast(vocab=vocabulary, model_max_length=64).save_pretrained(bert)
    st.CrossEncoder(str(bert), device="cpu").save_pretrained(str(folder / "model"))
    return folder / "model"
