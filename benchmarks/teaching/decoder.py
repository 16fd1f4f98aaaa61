"""The solvers of docs/teaching.md: small decoders, trained from scratch here, and how answers are drawn from them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from torch.nn.functional import cross_entropy
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, set_seed

from benchmarks.teaching.problems import LEVELS, MOST, NEW, TRAINED, problem

RATE = 2e-3
"""Highest learning rate of training from scratch."""
BUDGET = 48
"""Tokens of an answer at most, its end included."""
LONG_FITS = 3
"""The highest level at which long working fits the budget."""
SIGNS = ["<pad>", "<eos>", "<ask>", "Answer: ", "\n", *"0123456789ax+-*/()=,?", *(f"{n}a" for n in range(1, MOST + 1))]
PAD, EOS = 0, 1
TEMPLATE = (
    "{% for m in messages %}{{ m['content'] }}{{ '<ask>' if m['role'] == 'user' else '<eos>' }}{% endfor %}"
    # What is asked ends in <ask>, so there is nothing to add before an answer.
)


@dataclass(frozen=True)
class Size:
    """A decoder's width and depth, and how it is trained from scratch."""

    width: int
    layers: int
    steps: int
    batch: int
    levels: tuple[float, ...]
    """How often each of LEVELS comes."""
    long: bool
    """Whether half of the working is long at every level, or only where it fits the budget."""


WEAK = Size(width=144, layers=4, steps=1000, batch=48, levels=(25, 25, 20, 12, 8, 5, 3, 2), long=True)
STRONG = Size(width=192, layers=4, steps=1200, batch=48, levels=(1,) * 8, long=False)


def tokenizer() -> PreTrainedTokenizerFast:
    """Return the tokenizer of all decoders: one token a sign, and one a multiple of `a` and the mark of an answer."""
    raw = Tokenizer(models.WordLevel({sign: n for n, sign in enumerate(SIGNS)}, unk_token="<pad>"))
    raw.pre_tokenizer = pre_tokenizers.Split(Regex(r"Answer: |\d+a|[\s\S]"), "isolated")
    raw.decoder = decoders.Fuse()
    named = {"pad_token": "<pad>", "eos_token": "<eos>", "additional_special_tokens": ["<ask>"]}
    made = PreTrainedTokenizerFast(tokenizer_object=raw, padding_side="left", **named)
    made.chat_template = TEMPLATE
    return made


def untrained(size: Size, seed: int) -> LlamaForCausalLM:
    """Return a random decoder of a size."""
    set_seed(seed)
    shape = {"hidden_size": size.width, "intermediate_size": 3 * size.width, "num_hidden_layers": size.layers}
    tokens = {"vocab_size": len(SIGNS), "pad_token_id": PAD, "eos_token_id": EOS, "bos_token_id": EOS}
    return LlamaForCausalLM(LlamaConfig(**shape, **tokens, num_attention_heads=4, max_position_embeddings=256))


def corpus(size: Size, rng: random.Random) -> Iterator[tuple[str, str]]:
    """Yield questions with answers in writing, without end."""
    families = TRAINED + NEW
    while True:
        one = problem(rng.choice(families), rng.choices(LEVELS, size.levels)[0], rng)
        text = one.working(long=rng.random() < 0.5)
        if not size.long and one.level > LONG_FITS:
            text = one.working(long=False)
        yield one.question, text


def _batches(size: Size, rng: random.Random) -> Iterator[list[tuple[str, str]]]:
    """Yield batches of texts of about one length: little of a batch is padding then."""
    texts = corpus(size, rng)
    while True:
        pool = sorted((next(texts) for _ in range(8 * size.batch)), key=lambda pair: len(pair[0]) + len(pair[1]))
        parts = [pool[begin : begin + size.batch] for begin in range(0, len(pool), size.batch)]
        rng.shuffle(parts)
        yield from parts


def learned(size: Size, seed: int, said: Callable[[str], None] = lambda _: None) -> LlamaForCausalLM:
    """Train a decoder of a size from scratch and return it. `said` gets the loss now and then."""
    model, words, rng = untrained(size, seed), tokenizer(), random.Random(seed)
    batches = _batches(size, rng)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=size.steps, pct_start=0.05)
    for step in range(size.steps):
        ids, labels = _batch(words, next(batches))
        logits = model(input_ids=ids, attention_mask=(ids != PAD).long()).logits
        loss = cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 99:
            said(f"step {step + 1} of {size.steps}, loss {loss.item():.3f}")
    return model.eval()


def _batch(words: PreTrainedTokenizerFast, pairs: Sequence[tuple[str, str]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return tokens, padded on the right, and labels: only answers are learned, as far as the budget."""
    rows = [(words.encode(f"{question}<ask>"), words.encode(f"{answer}<eos>")[:BUDGET]) for question, answer in pairs]
    width = max(len(question) + len(answer) for question, answer in rows)
    ids = torch.full((len(rows), width), PAD)
    labels = torch.full((len(rows), width), -100)
    for n, (question, answer) in enumerate(rows):
        ids[n, : len(question) + len(answer)] = torch.tensor(question + answer)
        labels[n, len(question) : len(question) + len(answer)] = torch.tensor(answer)
    return ids, labels


@dataclass(frozen=True)
class Drawn:
    """An answer, and whether the budget cut it off."""

    text: str
    cut: bool
    tokens: int


@torch.inference_mode()
def draw(
    model: LlamaForCausalLM,
    words: PreTrainedTokenizerFast,
    asked: Sequence[tuple[str, int]],
    budget: int = BUDGET,
) -> list[Drawn]:
    """Return an answer at temperature 1.0 to each (question, seed).

    A row's own seed gives all of its draws: what stands beside it in the batch has no part in them.
    """
    prompts = words([f"{question}<ask>" for question, _ in asked], padding=True, return_tensors="pt")
    noise = torch.stack([_gumbel(seed, budget) for _, seed in asked])
    mask, cache = prompts["attention_mask"], DynamicCache()
    places = (mask.cumsum(1) - 1).clamp(min=0)
    ids, drawn = prompts["input_ids"], []
    ended = torch.zeros(len(asked), dtype=torch.bool)
    for step in range(budget):
        logits = model(
            input_ids=ids, attention_mask=mask, position_ids=places, past_key_values=cache, logits_to_keep=1
        ).logits
        token = (logits[:, -1] + noise[:, step]).argmax(1)
        token = torch.where(ended, PAD, token)
        drawn.append(token)
        ended |= token == EOS
        if ended.all():
            break
        ids, mask = token[:, None], torch.cat([mask, torch.ones_like(token)[:, None]], 1)
        places = places[:, -1:] + 1
    found = []
    for row, over in zip(torch.stack(drawn, 1).tolist(), ended.tolist(), strict=True):
        length = row.index(EOS) if over else len(row)
        found.append(Drawn(words.decode(row[:length], skip_special_tokens=False), not over, length + over))
    return found


def _gumbel(seed: int, budget: int) -> torch.Tensor:
    uniform = torch.rand((budget, len(SIGNS)), generator=torch.Generator().manual_seed(seed))
    return -torch.log(-torch.log(uniform.clamp(1e-9, 1 - 1e-7)))


def save(model: LlamaForCausalLM, folder: Path) -> None:
    """Write a model and its tokenizer as transformers does."""
    model.save_pretrained(folder)
    tokenizer().save_pretrained(folder)


def load(folder: Path) -> LlamaForCausalLM:
    """Read a model that was saved, ready to answer."""
    model: LlamaForCausalLM = LlamaForCausalLM.from_pretrained(folder)
    return model.eval()
