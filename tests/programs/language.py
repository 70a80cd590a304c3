"""Networks on sequences."""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .libraries import program

TEXT = "the quick brown fox jumps over the lazy dog, and the dog sleeps on. " * 4


@program
def character_gpt(lib: Any, run: Any) -> None:
    """A character GPT, after karpathy/nanoGPT: tied weights, both forms of attention, decay groups, cosine schedule by hand."""
    torch, nn, F = lib.torch, lib.nn, lib.F

    @dataclass
    class GPTConfig:
        block_size: int = 8
        vocab_size: int = 32
        n_layer: int = 2
        n_head: int = 2
        n_embd: int = 8
        dropout: float = 0.0
        bias: bool = False

    class LayerNorm(nn.Module):
        """LayerNorm but with an optional bias."""

        def __init__(self, ndim, bias):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(ndim))
            self.bias = nn.Parameter(torch.zeros(ndim)) if bias else None

        def forward(self, input):
            return F.layer_norm(input, self.weight.shape, self.weight, self.bias, 1e-5)

    class CausalSelfAttention(nn.Module):
        def __init__(self, config, flash):
            super().__init__()
            assert config.n_embd % config.n_head == 0
            self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd, bias=config.bias)
            self.c_proj = nn.Linear(config.n_embd, config.n_embd, bias=config.bias)
            self.attn_dropout = nn.Dropout(config.dropout)
            self.resid_dropout = nn.Dropout(config.dropout)
            self.n_head = config.n_head
            self.n_embd = config.n_embd
            self.dropout = config.dropout
            self.flash = flash and hasattr(torch.nn.functional, "scaled_dot_product_attention")
            if not self.flash:
                self.register_buffer(
                    "bias",
                    torch.tril(torch.ones(config.block_size, config.block_size)).view(1, 1, config.block_size, config.block_size),
                )

        def forward(self, x):
            B, T, C = x.size()
            q, k, v = self.c_attn(x).split(self.n_embd, dim=2)
            k = k.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
            q = q.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
            v = v.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
            if self.flash:
                y = torch.nn.functional.scaled_dot_product_attention(
                    q, k, v, attn_mask=None, dropout_p=self.dropout if self.training else 0, is_causal=True
                )
            else:
                att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
                att = att.masked_fill(self.bias[:, :, :T, :T] == 0, float("-inf"))
                att = F.softmax(att, dim=-1)
                att = self.attn_dropout(att)
                y = att @ v
            y = y.transpose(1, 2).contiguous().view(B, T, C)
            return self.resid_dropout(self.c_proj(y))

    class MLP(nn.Module):
        def __init__(self, config):
            super().__init__()
            self.c_fc = nn.Linear(config.n_embd, 4 * config.n_embd, bias=config.bias)
            self.gelu = nn.GELU()
            self.c_proj = nn.Linear(4 * config.n_embd, config.n_embd, bias=config.bias)
            self.dropout = nn.Dropout(config.dropout)

        def forward(self, x):
            return self.dropout(self.c_proj(self.gelu(self.c_fc(x))))

    class Block(nn.Module):
        def __init__(self, config, flash):
            super().__init__()
            self.ln_1 = LayerNorm(config.n_embd, bias=config.bias)
            self.attn = CausalSelfAttention(config, flash)
            self.ln_2 = LayerNorm(config.n_embd, bias=config.bias)
            self.mlp = MLP(config)

        def forward(self, x):
            x = x + self.attn(self.ln_1(x))
            x = x + self.mlp(self.ln_2(x))
            return x

    class GPT(nn.Module):
        def __init__(self, config):
            super().__init__()
            assert config.vocab_size is not None
            self.config = config
            self.transformer = nn.ModuleDict(
                dict(
                    wte=nn.Embedding(config.vocab_size, config.n_embd),
                    wpe=nn.Embedding(config.block_size, config.n_embd),
                    drop=nn.Dropout(config.dropout),
                    h=nn.ModuleList([Block(config, flash=k % 2 == 0) for k in range(config.n_layer)]),
                    ln_f=LayerNorm(config.n_embd, bias=config.bias),
                )
            )
            self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
            self.transformer.wte.weight = self.lm_head.weight
            self.apply(self._init_weights)
            for pn, p in self.named_parameters():
                if pn.endswith("c_proj.weight"):
                    torch.nn.init.normal_(p, mean=0.0, std=0.02 / math.sqrt(2 * config.n_layer))
            run.log("number of parameters: %.2fK" % (self.get_num_params() / 1e3,), "parameters")  # noqa: UP031

        def get_num_params(self, non_embedding=True):
            n_params = sum(p.numel() for p in self.parameters())
            if non_embedding:
                n_params -= self.transformer.wpe.weight.numel()
            return n_params

        def _init_weights(self, module):
            if isinstance(module, nn.Linear):
                torch.nn.init.normal_(module.weight, mean=0.0, std=0.02)
                if module.bias is not None:
                    torch.nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Embedding):
                torch.nn.init.normal_(module.weight, mean=0.0, std=0.02)

        def forward(self, idx, targets=None):
            device = idx.device
            b, t = idx.size()
            assert t <= self.config.block_size, f"Cannot forward sequence of length {t}"
            pos = torch.arange(0, t, dtype=torch.long, device=device)
            tok_emb = self.transformer.wte(idx)
            pos_emb = self.transformer.wpe(pos)
            x = self.transformer.drop(tok_emb + pos_emb)
            for block in self.transformer.h:
                x = block(x)
            x = self.transformer.ln_f(x)
            if targets is not None:
                logits = self.lm_head(x)
                loss = F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)
            else:
                logits = self.lm_head(x[:, [-1], :])
                loss = None
            return logits, loss

        def configure_optimizers(self, weight_decay, learning_rate, betas, device_type):
            param_dict = {pn: p for pn, p in self.named_parameters()}
            param_dict = {pn: p for pn, p in param_dict.items() if p.requires_grad}
            decay_params = [p for n, p in param_dict.items() if p.dim() >= 2]
            nodecay_params = [p for n, p in param_dict.items() if p.dim() < 2]
            optim_groups = [
                {"params": decay_params, "weight_decay": weight_decay},
                {"params": nodecay_params, "weight_decay": 0.0},
            ]
            run.log(sum(p.numel() for p in decay_params), "decayed parameters")
            fused_available = "fused" in inspect.signature(torch.optim.AdamW).parameters
            use_fused = fused_available and device_type == "cuda"
            extra_args = dict(fused=True) if use_fused else dict()
            return torch.optim.AdamW(optim_groups, lr=learning_rate, betas=betas, **extra_args)

        @torch.no_grad()
        def generate(self, idx, max_new_tokens, temperature=1.0, top_k=None):
            for _ in range(max_new_tokens):
                idx_cond = idx if idx.size(1) <= self.config.block_size else idx[:, -self.config.block_size :]
                logits, _ = self(idx_cond)
                logits = logits[:, -1, :] / temperature
                if top_k is not None:
                    v, _ = torch.topk(logits, min(top_k, logits.size(-1)))
                    logits[logits < v[:, [-1]]] = -float("Inf")
                probs = F.softmax(logits, dim=-1)
                idx_next = torch.multinomial(probs, num_samples=1)
                idx = torch.cat((idx, idx_next), dim=1)
            return idx

    def get_lr(it, learning_rate=1e-2, warmup_iters=2, lr_decay_iters=6, min_lr=1e-3):
        if it < warmup_iters:
            return learning_rate * (it + 1) / (warmup_iters + 1)
        if it > lr_decay_iters:
            return min_lr
        decay_ratio = (it - warmup_iters) / (lr_decay_iters - warmup_iters)
        coeff = 0.5 * (1.0 + math.cos(math.pi * decay_ratio))
        return min_lr + coeff * (learning_rate - min_lr)

    chars = sorted(set(TEXT))
    stoi = {ch: i for i, ch in enumerate(chars)}
    itos = {i: ch for i, ch in enumerate(chars)}
    data = np.array([stoi[c] for c in TEXT], dtype=np.uint16)
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    config = GPTConfig(vocab_size=len(chars))
    model = GPT(config)
    run.start(model)
    optimizer = model.configure_optimizers(1e-1, 1e-2, (0.9, 0.95), "cpu")

    def get_batch(batch_size=3):
        ix = run.ints(len(data) - config.block_size, batch_size)
        x = torch.stack([torch.from_numpy((data[i : i + config.block_size]).astype(np.int64)) for i in ix])
        y = torch.stack([torch.from_numpy((data[i + 1 : i + 1 + config.block_size]).astype(np.int64)) for i in ix])
        return x.to("cpu"), y.to("cpu")

    X, Y = get_batch()
    for iter_num in range(8):
        lr = get_lr(iter_num)
        for param_group in optimizer.param_groups:
            param_group["lr"] = lr
        for _ in range(2):
            logits, loss = model(X, Y)
            loss = loss / 2
            X, Y = get_batch()
            loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        run.log(loss.item() * 2)
    model.eval()
    start = torch.tensor([stoi[c] for c in "the"], dtype=torch.long)[None, ...]
    y = model.generate(start, 10, temperature=0.8, top_k=1)
    run.log("".join(itos[i] for i in y[0].tolist()), "sample")
    run.finish(model)


@program
def word_language_model(lib: Any, run: Any) -> None:
    """The LSTM of pytorch/examples/word_language_model: tied weights, repackaged states, gradients clipped, lr annealed."""
    torch, nn, F = lib.torch, lib.nn, lib.F

    class RNNModel(nn.Module):
        def __init__(self, rnn_type, ntoken, ninp, nhid, nlayers, dropout=0.0, tie_weights=False):
            super().__init__()
            self.ntoken = ntoken
            self.drop = nn.Dropout(dropout)
            self.encoder = nn.Embedding(ntoken, ninp)
            if rnn_type in ["LSTM", "GRU"]:
                self.rnn = getattr(nn, rnn_type)(ninp, nhid, nlayers, dropout=dropout)
            else:
                self.rnn = nn.RNN(ninp, nhid, nlayers, nonlinearity="tanh", dropout=dropout)
            self.decoder = nn.Linear(nhid, ntoken)
            if tie_weights:
                self.decoder.weight = self.encoder.weight
            self.init_weights()
            self.rnn_type = rnn_type
            self.nhid = nhid
            self.nlayers = nlayers

        def init_weights(self):
            initrange = 0.1
            nn.init.uniform_(self.encoder.weight, -initrange, initrange)
            nn.init.zeros_(self.decoder.bias)
            nn.init.uniform_(self.decoder.weight, -initrange, initrange)

        def forward(self, input, hidden):
            emb = self.drop(self.encoder(input))
            output, hidden = self.rnn(emb, hidden)
            output = self.drop(output)
            decoded = self.decoder(output)
            decoded = decoded.view(-1, self.ntoken)
            return F.log_softmax(decoded, dim=1), hidden

        def init_hidden(self, bsz):
            weight = next(self.parameters())
            if self.rnn_type == "LSTM":
                return (weight.new_zeros(self.nlayers, bsz, self.nhid), weight.new_zeros(self.nlayers, bsz, self.nhid))
            return weight.new_zeros(self.nlayers, bsz, self.nhid)

    def repackage_hidden(h):
        if isinstance(h, torch.Tensor):
            return h.detach()
        return tuple(repackage_hidden(v) for v in h)

    def batchify(data, bsz):
        nbatch = data.size(0) // bsz
        data = data.narrow(0, 0, nbatch * bsz)
        data = data.view(bsz, -1).t().contiguous()
        return data.to("cpu")

    def get_batch(source, i, bptt=6):
        seq_len = min(bptt, len(source) - 1 - i)
        data = source[i : i + seq_len]
        target = source[i + 1 : i + 1 + seq_len].view(-1)
        return data, target

    train_data = batchify(run.ints(11, 75), 3)
    for kind in ("LSTM", "GRU", "RNN_TANH"):
        model = run.start(RNNModel(kind, 11, 6, 6, 2, tie_weights=kind == "LSTM"))
        criterion = nn.NLLLoss()
        hidden = model.init_hidden(3)
        lr = 2.0
        for batch, i in enumerate(range(0, train_data.size(0) - 1, 6)):
            data, targets = get_batch(train_data, i)
            model.zero_grad()
            hidden = repackage_hidden(hidden)
            output, hidden = model(data, hidden)
            loss = criterion(output, targets)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
            for p in model.parameters():
                p.data.add_(p.grad, alpha=-lr)
            run.log(loss.item())
            run.log(math.exp(loss.item()), "perplexity")
            if batch == 2:
                lr /= 4.0
        run.finish(model, kind + ".")


@program(double=True)
def time_sequence_prediction(lib: Any, run: Any) -> None:
    """LSTM cells on sine waves trained by LBFGS, after pytorch/examples/time_sequence_prediction."""
    torch, nn, optim = lib.torch, lib.nn, lib.optim

    class Sequence(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm1 = nn.LSTMCell(1, 6)
            self.lstm2 = nn.LSTMCell(6, 6)
            self.linear = nn.Linear(6, 1)

        def forward(self, input, future=0):
            outputs = []
            h_t = torch.zeros(input.size(0), 6, dtype=torch.double)
            c_t = torch.zeros(input.size(0), 6, dtype=torch.double)
            h_t2 = torch.zeros(input.size(0), 6, dtype=torch.double)
            c_t2 = torch.zeros(input.size(0), 6, dtype=torch.double)
            for input_t in input.split(1, dim=1):
                h_t, c_t = self.lstm1(input_t, (h_t, c_t))
                h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
                output = self.linear(h_t2)
                outputs += [output]
            for _ in range(future):
                h_t, c_t = self.lstm1(output, (h_t, c_t))
                h_t2, c_t2 = self.lstm2(h_t, (h_t2, c_t2))
                output = self.linear(h_t2)
                outputs += [output]
            return torch.cat(outputs, dim=1)

    x = np.array(range(12)) + run.rng.integers(-10, 10, 4).reshape(4, 1)
    data = np.sin(x / 1.0 / 3).astype("float64")
    input = torch.from_numpy(data[1:, :-1])
    target = torch.from_numpy(data[1:, 1:])
    seq = Sequence()
    seq.double()
    run.start(seq)
    criterion = nn.MSELoss()
    optimizer = optim.LBFGS(seq.parameters(), lr=0.8, max_iter=5, line_search_fn="strong_wolfe")
    for _ in range(3):

        def closure():
            optimizer.zero_grad()
            out = seq(input)
            loss = criterion(out, target)
            run.log(loss.item())
            loss.backward()
            return loss

        optimizer.step(closure)
        with torch.no_grad():
            pred = seq(input, future=3)
            run.log(criterion(pred[:, :-3], target).item(), "test loss")
            run.log(pred.detach().numpy().sum(), "sum of predictions")
    run.finish(seq)


@program(double=True)
def transformer_classifier(lib: Any, run: Any) -> None:
    """A transformer encoder with positions in a buffer and a padding mask, mean pooling over what is no padding, OneCycle."""
    torch, nn, F, optim = lib.torch, lib.nn, lib.F, lib.optim

    class PositionalEncoding(nn.Module):
        def __init__(self, d_model, dropout=0.0, max_len=20):
            super().__init__()
            self.dropout = nn.Dropout(p=dropout)
            pe = torch.zeros(max_len, d_model)
            position = torch.arange(0, max_len, dtype=torch.float).unsqueeze(1)
            div_term = torch.exp(torch.arange(0, d_model, 2).float() * (-math.log(10000.0) / d_model))
            pe[:, 0::2] = torch.sin(position * div_term)
            pe[:, 1::2] = torch.cos(position * div_term)
            pe = pe.unsqueeze(0).transpose(0, 1)
            self.register_buffer("pe", pe)

        def forward(self, x):
            x = x + self.pe[: x.size(0), :]
            return self.dropout(x)

    class Classifier(nn.Module):
        def __init__(self, ntoken, d_model=8, nhead=2, nlayers=2, classes=3):
            super().__init__()
            self.d_model = d_model
            self.embed = nn.Embedding(ntoken, d_model, padding_idx=0)
            self.pos_encoder = PositionalEncoding(d_model)
            encoder_layers = nn.TransformerEncoderLayer(d_model, nhead, 16, dropout=0.0, activation="gelu", norm_first=True)
            self.transformer_encoder = nn.TransformerEncoder(
                encoder_layers, nlayers, norm=nn.LayerNorm(d_model), enable_nested_tensor=False
            )
            self.decoder = nn.Linear(d_model, classes)
            self.init_weights()

        def init_weights(self):
            for p in self.parameters():
                if p.dim() > 1:
                    nn.init.xavier_uniform_(p)

        def forward(self, src):
            padding = src == 0
            x = self.embed(src.t()) * math.sqrt(self.d_model)
            x = self.transformer_encoder(self.pos_encoder(x), src_key_padding_mask=padding).transpose(0, 1)
            keep = (~padding).unsqueeze(-1).type_as(x)
            x = (x * keep).sum(1) / keep.sum(1).clamp(min=1e-9)
            return self.decoder(x)

    sentences = [run.rng.integers(1, 12, n).tolist() for n in (3, 7, 5, 2, 6)]
    longest = max(map(len, sentences))
    src = torch.tensor([s + [0] * (longest - len(s)) for s in sentences])
    target = torch.LongTensor([0, 1, 2, 1, 0])
    model = run.start(Classifier(12))
    optimizer = optim.NAdam(model.parameters(), lr=1e-3)
    scheduler = optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.01, steps_per_epoch=2, epochs=4)
    class_weights = torch.FloatTensor([1.0, 2.0, 0.5]).to(torch.get_default_dtype())
    for _ in range(8):
        model.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(src), target, weight=class_weights)
        loss.backward()
        nn.utils.clip_grad_value_(model.parameters(), clip_value=0.5)
        optimizer.step()
        scheduler.step()
        run.log(loss.item())
        run.log(scheduler.get_last_lr()[0], "learning rate")
    model.eval()
    with torch.no_grad():
        out = model(src)
        run.log((out.argmax(-1) == target).sum().item(), "correct")
        confusion = torch.zeros(3, 3, dtype=torch.int64)
        for t, p in zip(target.view(-1), out.argmax(1).view(-1)):  # noqa: B905
            confusion[t.long(), p.long()] += 1
        run.log(confusion, "confusion")
    run.finish(model)


@program(double=True)
def seq2seq_with_attention(lib: Any, run: Any) -> None:
    """A translator: packed bidirectional GRU, additive attention with a mask, teacher forcing, per-token losses, beam scores."""
    torch, nn, F, optim = lib.torch, lib.nn, lib.F, lib.optim
    pack_padded_sequence, pad_packed_sequence = lib.rnn_utils.pack_padded_sequence, lib.rnn_utils.pad_packed_sequence
    pad_sequence = lib.rnn_utils.pad_sequence
    SOS, EOS, hidden_size = 1, 2, 6

    class EncoderRNN(nn.Module):
        def __init__(self, input_size, hidden_size):
            super().__init__()
            self.embedding = nn.Embedding(input_size, hidden_size, padding_idx=0)
            self.gru = nn.GRU(hidden_size, hidden_size, batch_first=True, bidirectional=True)
            self.fc = nn.Linear(hidden_size * 2, hidden_size)

        def forward(self, input, lengths):
            embedded = self.embedding(input)
            packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
            output, hidden = self.gru(packed)
            output, _ = pad_packed_sequence(output, batch_first=True)
            hidden = torch.tanh(self.fc(torch.cat((hidden[-2, :, :], hidden[-1, :, :]), dim=1)))
            return output, hidden.unsqueeze(0)

    class BahdanauAttention(nn.Module):
        def __init__(self, hidden_size):
            super().__init__()
            self.Wa = nn.Linear(hidden_size, hidden_size)
            self.Ua = nn.Linear(2 * hidden_size, hidden_size)
            self.Va = nn.Linear(hidden_size, 1)

        def forward(self, query, keys, mask):
            scores = self.Va(torch.tanh(self.Wa(query) + self.Ua(keys)))
            scores = scores.squeeze(2).unsqueeze(1)
            scores = scores.masked_fill(mask.unsqueeze(1) == 0, -1e10)
            weights = F.softmax(scores, dim=-1)
            context = torch.bmm(weights, keys)
            return context, weights

    class AttnDecoderRNN(nn.Module):
        def __init__(self, hidden_size, output_size):
            super().__init__()
            self.embedding = nn.Embedding(output_size, hidden_size)
            self.attention = BahdanauAttention(hidden_size)
            self.gru = nn.GRU(3 * hidden_size, hidden_size, batch_first=True)
            self.out = nn.Linear(hidden_size, output_size)

        def forward(self, encoder_outputs, encoder_hidden, mask, target_tensor=None, max_length=5):
            batch_size = encoder_outputs.size(0)
            decoder_input = torch.empty(batch_size, 1, dtype=torch.long, device="cpu").fill_(SOS)
            decoder_hidden = encoder_hidden
            decoder_outputs, attentions = [], []
            for i in range(max_length):
                embedded = self.embedding(decoder_input)
                query = decoder_hidden.permute(1, 0, 2)
                context, attn_weights = self.attention(query, encoder_outputs, mask)
                output, decoder_hidden = self.gru(torch.cat((embedded, context), dim=2), decoder_hidden)
                output = self.out(output)
                decoder_outputs.append(output)
                attentions.append(attn_weights)
                if target_tensor is not None:
                    decoder_input = target_tensor[:, i].unsqueeze(1)
                else:
                    _, topi = output.topk(1)
                    decoder_input = topi.squeeze(-1).detach()
            decoder_outputs = F.log_softmax(torch.cat(decoder_outputs, dim=1), dim=-1)
            return decoder_outputs, decoder_hidden, torch.cat(attentions, dim=1)

    lengths = [3, 6, 4, 5]
    source = pad_sequence([run.ints(9, n) + 3 for n in lengths], batch_first=True)
    target = (run.ints(7, 4, 5) + 3).index_fill(1, torch.tensor([4]), EOS)
    mask = (torch.arange(source.size(1))[None, :] < torch.tensor(lengths)[:, None]).float()
    encoder, decoder = run.start(EncoderRNN(12, hidden_size)), run.start(AttnDecoderRNN(hidden_size, 10))
    encoder_optimizer = optim.Adam(encoder.parameters(), lr=1e-2)
    decoder_optimizer = optim.Adam(decoder.parameters(), lr=1e-2)
    criterion = nn.NLLLoss(ignore_index=0, reduction="none")
    for _ in range(6):
        encoder_optimizer.zero_grad()
        decoder_optimizer.zero_grad()
        encoder_outputs, encoder_hidden = encoder(source, torch.tensor(lengths))
        decoder_outputs, _, attention = decoder(encoder_outputs, encoder_hidden, mask, target)
        losses = criterion(decoder_outputs.view(-1, decoder_outputs.size(-1)), target.view(-1))
        loss = losses.view(4, -1).sum(1).div(torch.as_tensor([5.0] * 4)).mean()
        loss.backward()
        _ = nn.utils.clip_grad_norm_(list(encoder.parameters()) + list(decoder.parameters()), 0.5)
        encoder_optimizer.step()
        decoder_optimizer.step()
        run.log(loss.item())
    with torch.no_grad():
        decoder_outputs, _, attention = decoder(*encoder(source, torch.tensor(lengths)), mask)
        _, topi = decoder_outputs.topk(1)
        run.log(tuple(map(tuple, topi.squeeze().tolist())), "decoded")
        run.log(attention, "attention")
    run.finish(encoder, "encoder.")
    run.finish(decoder, "decoder.")


@program(double=True)
def transformer_translation(lib: Any, run: Any) -> None:
    """nn.Transformer on copies of sequences, after the tutorial on translation: causal and padding masks, Noam's schedule."""
    torch, nn, optim = lib.torch, lib.nn, lib.optim
    PAD = 0

    class Seq2SeqTransformer(nn.Module):
        def __init__(self, vocab, emb_size=8):
            super().__init__()
            self.emb_size = emb_size
            self.transformer = nn.Transformer(
                d_model=emb_size, nhead=2, num_encoder_layers=1, num_decoder_layers=1, dim_feedforward=12, dropout=0.0
            )
            self.generator = nn.Linear(emb_size, vocab)
            self.tok_emb = nn.Embedding(vocab, emb_size)
            self.pos = nn.Parameter(torch.randn(10, 1, emb_size))

        def forward(self, src, trg, tgt_mask, src_padding_mask, tgt_padding_mask):
            src_emb = self.tok_emb(src.long()) * math.sqrt(self.emb_size) + self.pos[: src.size(0)]
            tgt_emb = self.tok_emb(trg.long()) * math.sqrt(self.emb_size) + self.pos[: trg.size(0)]
            outs = self.transformer(src_emb, tgt_emb, None, tgt_mask, None, src_padding_mask, tgt_padding_mask, src_padding_mask)
            return self.generator(outs)

    def generate_square_subsequent_mask(sz):
        mask = (torch.triu(torch.ones((sz, sz), device="cpu")) == 1).transpose(0, 1)
        return mask.float().masked_fill(mask == 0, float("-inf")).masked_fill(mask == 1, float(0.0))  # noqa: UP018

    src = run.ints(6, 5, 4) + 1
    src[3:, 1] = PAD
    src[-1, [0, 2]] = PAD
    tgt = torch.cat([torch.full((1, 4), 7), src.flip(0).masked_fill(src.flip(0) == PAD, 3)])
    model = run.start(Seq2SeqTransformer(8))
    loss_fn = torch.nn.CrossEntropyLoss(ignore_index=PAD)
    optimizer = torch.optim.Adam(model.parameters(), lr=1.0, betas=(0.9, 0.98), eps=1e-9)
    noam = optim.lr_scheduler.LambdaLR(optimizer, lambda s: 8**-0.5 * min((s + 1) ** -0.5, (s + 1) * 6**-1.5) * 0.05)
    for _ in range(6):
        tgt_input, tgt_out = tgt[:-1, :], tgt[1:, :]
        tgt_mask = generate_square_subsequent_mask(tgt_input.shape[0]).to(torch.get_default_dtype())
        pad = (src == PAD).transpose(0, 1)
        pad_mask = torch.zeros(pad.shape).masked_fill(pad, float("-inf"))
        tgt_pad = torch.zeros((tgt_input == PAD).transpose(0, 1).shape)
        logits = model(src, tgt_input, tgt_mask, pad_mask, tgt_pad)
        optimizer.zero_grad()
        loss = loss_fn(logits.reshape(-1, logits.shape[-1]), tgt_out.reshape(-1))
        loss.backward()
        optimizer.step()
        noam.step()
        run.log(loss.item())
    run.finish(model)


@program
def word_vectors_and_text_classes(lib: Any, run: Any) -> None:
    """Skip-gram with negative samples, then a bag-of-words classifier on EmbeddingBag with offsets, then a text CNN."""
    torch, nn, F, optim = lib.torch, lib.nn, lib.F, lib.optim

    class SkipGramModel(nn.Module):
        def __init__(self, emb_size, emb_dimension):
            super().__init__()
            self.u_embeddings = nn.Embedding(emb_size, emb_dimension)
            self.v_embeddings = nn.Embedding(emb_size, emb_dimension)
            initrange = 1.0 / emb_dimension
            nn.init.uniform_(self.u_embeddings.weight.data, -initrange, initrange)
            nn.init.constant_(self.v_embeddings.weight.data, 0)

        def forward(self, pos_u, pos_v, neg_v):
            emb_u, emb_v, emb_neg_v = self.u_embeddings(pos_u), self.v_embeddings(pos_v), self.v_embeddings(neg_v)
            score = torch.sum(torch.mul(emb_u, emb_v), dim=1)
            score = torch.clamp(score, max=10, min=-10)
            score = -F.logsigmoid(score)
            neg_score = torch.bmm(emb_neg_v, emb_u.unsqueeze(2)).squeeze()
            neg_score = torch.clamp(neg_score, max=10, min=-10)
            neg_score = -torch.sum(F.logsigmoid(-neg_score), dim=1)
            return torch.mean(score + neg_score)

    model = run.start(SkipGramModel(10, 4))
    optimizer = optim.Adagrad(model.parameters(), lr=0.5)
    for _ in range(5):
        loss = model(run.ints(10, 6), run.ints(10, 6), run.ints(10, 6, 3))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.log(loss.item())
    run.finish(model, "skipgram.")

    class TextClassificationModel(nn.Module):
        def __init__(self, vocab_size, embed_dim, num_class):
            super().__init__()
            self.embedding = nn.EmbeddingBag(vocab_size, embed_dim, sparse=False)
            self.fc = nn.Linear(embed_dim, num_class)

        def forward(self, text, offsets):
            return self.fc(self.embedding(text, offsets))

    def collate_batch(batch):
        label_list, text_list, offsets = [], [], [0]
        for _label, _text in batch:
            label_list.append(_label)
            processed_text = torch.tensor(_text, dtype=torch.int64)
            text_list.append(processed_text)
            offsets.append(processed_text.size(0))
        label_list = torch.tensor(label_list, dtype=torch.int64)
        offsets = torch.tensor(offsets[:-1]).cumsum(dim=0)
        return label_list, torch.cat(text_list), offsets

    batch = [(k % 3, run.rng.integers(0, 10, n).tolist()) for k, n in enumerate((3, 1, 5, 4))]
    model = run.start(TextClassificationModel(10, 4, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=5.0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1.0, gamma=0.1)
    for _ in range(5):
        label, text, offsets = collate_batch(batch)
        optimizer.zero_grad()
        predicted_label = model(text, offsets)
        loss = F.cross_entropy(predicted_label, label)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()
        run.log(loss.item())
    scheduler.step()
    run.finish(model, "bag.")

    class CNN_Text(nn.Module):
        def __init__(self, V, D, C, Ci=1, Co=3, Ks=(2, 3)):
            super().__init__()
            self.embed = nn.Embedding(V, D, max_norm=1.5)
            self.convs = nn.ModuleList([nn.Conv2d(Ci, Co, (K, D)) for K in Ks])
            self.fc1 = nn.Linear(len(Ks) * Co, C)

        def forward(self, x):
            x = self.embed(x)
            x = x.unsqueeze(1)
            x = [F.relu(conv(x)).squeeze(3) for conv in self.convs]
            x = [F.max_pool1d(i, i.size(2)).squeeze(2) for i in x]
            x = torch.cat(x, 1)
            return self.fc1(x)

    model = run.start(CNN_Text(10, 4, 2))
    optimizer = torch.optim.Adamax(model.parameters(), lr=1e-2)
    feature, label = run.ints(10, 4, 7), run.ints(2, 4)
    for _ in range(5):
        optimizer.zero_grad()
        logit = model(feature)
        loss = F.cross_entropy(logit, label)
        loss.backward()
        optimizer.step()
        run.log(loss.item())
        corrects = (torch.max(logit, 1)[1].view(label.size()).data == label.data).sum()
        run.log(100.0 * corrects / 4, "accuracy")
    run.finish(model, "cnn.")


@program(double=True)
def speech_recognition(lib: Any, run: Any) -> None:
    """Acoustic frames to characters: Conv1d, a bidirectional LSTM, CTC with lengths, greedy decoding."""
    torch, nn, F, optim = lib.torch, lib.nn, lib.F, lib.optim

    class DeepSpeech(nn.Module):
        def __init__(self, n_class=6):
            super().__init__()
            self.cnn = nn.Conv1d(5, 6, 3, stride=1, padding=3 // 2)
            self.layer_norm = nn.LayerNorm(6)
            self.birnn = nn.LSTM(6, 5, num_layers=2, batch_first=True, bidirectional=True)
            self.classifier = nn.Linear(10, n_class)
            for name, param in self.birnn.named_parameters():
                if "bias" in name:
                    nn.init.constant_(param, 0.0)
                    n = param.size(0)
                    param.data[n // 4 : n // 2].fill_(1.0)
                elif "weight" in name:
                    nn.init.orthogonal_(param)

        def forward(self, x):
            x = self.cnn(x).transpose(1, 2)
            x = F.glu(torch.cat([self.layer_norm(x)] * 2, -1), dim=-1)
            self.birnn.flatten_parameters()
            x, (h_n, c_n) = self.birnn(x)
            return self.classifier(x)

    model = run.start(DeepSpeech())
    criterion = nn.CTCLoss(blank=5, zero_infinity=True)
    optimizer = optim.AdamW(model.parameters(), 5e-3)
    spectrograms, labels = run.floats(3, 5, 10), run.ints(5, 3, 4)
    input_lengths, label_lengths = [10, 8, 9], [4, 2, 3]
    for _ in range(6):
        optimizer.zero_grad()
        output = model(spectrograms)
        output = F.log_softmax(output, dim=2)
        output = output.transpose(0, 1)
        loss = criterion(output, labels, torch.tensor(input_lengths), torch.tensor(label_lengths))
        loss.backward()
        optimizer.step()
        run.log(loss.item())
    arg_maxes = torch.argmax(output.transpose(0, 1), dim=2)
    decodes = []
    for args in arg_maxes:
        decode = []
        for j, index in enumerate(args):
            if index != 5:
                if j != 0 and index == args[j - 1]:
                    continue
                decode.append(index.item())
        decodes.append(tuple(decode))
    run.log(tuple(decodes), "decoded")
    run.finish(model)
