"""Small networks that are ill in a known way, and sound ones, with what each remedy means for them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import autograd_gpu as ag
from autograd_gpu import doctor, nn, optim
from autograd_gpu.nn import functional as F

FEATURES, CLASSES, ROWS, BATCH = 8, 3, 256, 32


@dataclass(frozen=True)
class Net:
    """A network, its data and how it is trained. The remedies change its fields."""

    kind: str = "mlp"
    depth: int = 2  # hidden layers
    width: int = 16
    activation: str = "relu"
    init: str = "default"  # or "good", or a name in INITS
    norm: bool = False
    residual: bool = False
    head: float = 1.0  # the last layer's weights, times this
    clip: float = 0.0
    optimizer: str = "SGD"
    lr: float = 0.05
    weight_decay: float = 0.0
    scale: float = 1.0  # of the inputs
    standard: bool = False  # standardise them
    loss: str = "cross_entropy"
    safe: bool = False  # the loss keeps away from poles
    connected: bool = True
    dtype: str = "float32"
    steps: int = 60


def _scaled(gain: float) -> Callable[[nn.Linear], None]:
    return lambda m: nn.init.normal_(m.weight, 0.0, gain * math.sqrt(2 / m.in_features))


def _negative(m: nn.Linear) -> None:
    nn.init.kaiming_normal_(m.weight)
    nn.init.constant_(m.bias, -15.0)


INITS: dict[str, Callable[[nn.Linear], None]] = {
    "tiny": _scaled(0.02),
    "small": _scaled(0.15),
    "large": _scaled(5.0),
    "huge": _scaled(30.0),
    "zero": lambda m: nn.init.zeros_(m.weight),
    "negative": _negative,
}

REMEDIES: dict[str, Callable[[Net], Net]] = {
    "initialisation": lambda n: replace(n, init="good", head=1.0),
    "activation": lambda n: replace(n, activation="relu"),
    "normalisation": lambda n: replace(n, norm=True),
    "residual": lambda n: replace(n, residual=True),
    "clipping": lambda n: replace(n, clip=1.0),
    "learning rate down": lambda n: replace(n, lr=n.lr / 10),
    "learning rate up": lambda n: replace(n, lr=n.lr * 1000),
    "weight decay": lambda n: replace(n, weight_decay=0.0),
    "inputs": lambda n: replace(n, standard=True),
    "numerics": lambda n: replace(n, safe=True),
    "precision": lambda n: replace(n, dtype="bfloat16"),
    "connection": lambda n: replace(n, connected=True),
}


class Block(nn.Module):
    """One hidden layer."""

    def __init__(self, net: Net, inputs: int):
        super().__init__()
        self.linear = nn.Linear(inputs, net.width)
        self.norm = nn.LayerNorm(net.width) if net.norm else None
        self.activation = {"relu": F.relu, "tanh": ag.tanh, "sigmoid": ag.sigmoid, "gelu": F.gelu}[net.activation]
        self.residual = net.residual and inputs == net.width

    def forward(self, x: ag.Tensor) -> ag.Tensor:
        y = self.linear(x)
        y = self.activation(y if self.norm is None else self.norm(y))
        return x + y if self.residual else y


class Mlp(nn.Module):
    """Hidden layers and a last one; a side branch whose output may be cut off."""

    def __init__(self, net: Net):
        super().__init__()
        self.blocks = nn.Sequential(*[Block(net, FEATURES if i == 0 else net.width) for i in range(net.depth)])
        self.last = nn.Linear(net.width, CLASSES)
        self.connected = net.connected
        for m in self.modules():
            if isinstance(m, nn.Linear):
                if net.init == "good" and net.activation == "relu":
                    nn.init.kaiming_normal_(m.weight, nonlinearity="relu" if m is not self.last else "linear")
                elif net.init == "good":
                    nn.init.xavier_uniform_(m.weight)
                elif net.init in INITS and (m is not self.last or net.init == "zero"):
                    INITS[net.init](m)
                if net.init == "good":
                    nn.init.zeros_(m.bias)
        with ag.no_grad():
            self.last.weight *= net.head

    def forward(self, x: ag.Tensor) -> ag.Tensor:
        y = self.blocks(x)
        return self.last(y if self.connected else y.detach())


class Recurrent(nn.Module):
    """A recurrent layer over the numbers of a row, and a last one."""

    def __init__(self, net: Net):
        super().__init__()
        options = {"nonlinearity": net.activation} if net.kind == "RNN" else {}
        self.rnn = getattr(nn, net.kind)(1, net.width, batch_first=True, **options)
        self.last = nn.Linear(net.width, CLASSES)
        if net.init == "large":
            nn.init.orthogonal_(self.rnn.weight_hh_l0, gain=4.0)

    def forward(self, x: ag.Tensor) -> ag.Tensor:
        return self.last(self.rnn(x.unsqueeze(-1))[0][:, -1])


def _convolutional(net: Net) -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, FEATURES)),
        nn.Conv1d(1, 8, 3, padding=1),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Conv1d(8, 8, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * FEATURES, CLASSES),
    )


def model_of(net: Net) -> nn.Module:
    """The network, freshly drawn."""
    if net.kind == "conv":
        return _convolutional(net)
    if net.kind == "modules":
        return nn.Sequential(
            nn.Linear(FEATURES, 16), nn.Tanh(), nn.Dropout(0.2), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, CLASSES)
        )
    return Mlp(net) if net.kind == "mlp" else Recurrent(net)


def loss_of(net: Net, out: ag.Tensor, y: ag.Tensor) -> ag.Tensor:
    """The loss, in float32; with some of its names a careless one."""
    out = out.float()
    if net.loss == "log":  # of a probability that may be zero
        p = F.relu(out)
        p = p / (p.sum(1, keepdim=True) + 1e-3)
        return F.cross_entropy(out, y) if net.safe else -(p.log() * F.one_hot(y, CLASSES)).sum(1).mean()
    if net.loss == "distance":  # whose slope is infinite at zero, where the difference of a row to itself is
        apart = ((out.unsqueeze(0) - out.unsqueeze(1)) ** 2).sum(2)
        near = (apart + 1e-6 if net.safe else apart).sqrt()
        return F.cross_entropy(out, y) + 1e-3 * near.mean()
    if net.loss == "division":  # by a sum that may be zero
        p = (out - 0.2) * (out > 0.2)  # a product, which NaN passes: the gradient of relu would be 0 there
        shares = p / (p.sum(1, keepdim=True) + (1e-3 if net.safe else 0.0))
        return ((shares - F.one_hot(y, CLASSES)) ** 2).mean()
    if net.loss == "regression":
        return ((out[:, 0] - y.float()) ** 2).mean()
    return F.cross_entropy(out, y)


def data(net: Net) -> tuple[ag.Tensor, ag.Tensor]:
    """Rows of numbers, and the class that a fixed rule gives them."""
    generator = ag.Generator().manual_seed(7)
    x = ag.randn(ROWS, FEATURES, generator=generator)
    y = (x @ ag.randn(FEATURES, CLASSES, generator=generator)).argmax(1)
    x = x * net.scale + (net.scale if net.scale != 1 else 0)
    if net.standard:
        x = (x - x.mean(0)) / x.std(0)
    return x.to(getattr(ag, net.dtype)), y


def train(net: Net, every: int = 10, seed: int = 0) -> tuple[float, doctor.Report]:
    """Train, watched. Returns the loss over all rows at the end, and the report."""
    ag.manual_seed(seed)
    x, y = data(net)
    model = model_of(net).to(getattr(ag, net.dtype))
    optimizer = getattr(optim, net.optimizer)(model.parameters(), lr=net.lr, weight_decay=net.weight_decay)
    with doctor.watch(model, optimizer, every) as watching:
        for step in range(net.steps):
            rows = slice(step * BATCH % ROWS, step * BATCH % ROWS + BATCH)
            loss = loss_of(net, model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            if net.clip:
                nn.utils.clip_grad_norm_(model.parameters(), net.clip)
            optimizer.step()
    with ag.no_grad():
        out = model.eval()(x).float()
        final = (loss_of(net, out, y) if net.loss == "regression" else F.cross_entropy(out, y)).item()
    return final, watching.report()


@dataclass(frozen=True)
class Ill:
    """An ill network, what the doctor must name, and what else is truly wrong with it and may be named."""

    net: Net
    named: str  # must be found
    also: tuple[str, ...] = ()


ILL = {
    "deep sigmoid": Ill(Net(depth=7, activation="sigmoid", lr=0.5), "vanishing"),
    "deep tanh, small weights": Ill(Net(depth=7, activation="tanh", init="small"), "vanishing"),
    "tiny weights": Ill(Net(depth=6, init="tiny"), "vanishing", ("dead",)),
    "very deep without normalisation": Ill(Net(depth=20), "vanishing", ("dead",)),
    "large weights, relu": Ill(Net(depth=6, init="large", lr=0.01), "exploding", ("nonfinite", "diverging", "dead", "saturated")),
    "large weights, tanh": Ill(Net(depth=3, init="large", activation="tanh"), "saturated", ("exploding",)),
    "large weights, sigmoid": Ill(
        Net(depth=2, init="huge", activation="sigmoid", lr=1.0, steps=150), "saturated", ("exploding",)
    ),
    "sigmoid with unscaled inputs": Ill(
        Net(activation="sigmoid", depth=1, scale=1000.0, lr=0.5, steps=150), "inputs", ("saturated",)
    ),
    "relu with unscaled inputs": Ill(Net(scale=3000.0), "inputs", ("exploding", "nonfinite", "dead", "saturated", "diverging")),
    "large negative bias": Ill(Net(init="negative"), "dead"),
    "killed by the learning rate": Ill(Net(optimizer="Adam", lr=1.0, depth=3), "diverging", ("dead",)),
    "too high a learning rate": Ill(Net(activation="tanh", lr=10.0), "diverging", ("saturated", "exploding")),
    "too low a learning rate": Ill(Net(lr=1e-8), "stalled"),
    "exploding recurrence": Ill(
        Net(kind="RNN", init="large", lr=0.02), "exploding", ("nonfinite", "saturated", "diverging", "dead")
    ),
    "log of zero": Ill(Net(loss="log"), "nonfinite"),
    "slope of a root at zero": Ill(Net(loss="distance"), "nonfinite"),
    "zero by zero": Ill(Net(loss="division"), "nonfinite"),
    "saturated softmax": Ill(Net(head=600.0), "saturated", ("diverging", "exploding", "dead")),
    "cut off": Ill(Net(connected=False, lr=0.02), "disconnected"),
    "drawn to zero": Ill(Net(weight_decay=4.0), "decaying", ("vanishing", "dead")),
    "overflow in float16": Ill(Net(dtype="float16", depth=8, init="large", lr=1e-3), "nonfinite", ("exploding", "saturated")),
    "zero weights": Ill(Net(init="zero"), "symmetric", ("dead",)),
}

SOUND = {
    "relu": Net(),
    "relu, Adam": Net(optimizer="Adam", lr=0.01),
    "last layer zero": Net(head=0.0),
    "tanh": Net(activation="tanh", depth=3, init="good"),
    "one layer of sigmoids": Net(activation="sigmoid", depth=1, lr=0.5),
    "one layer of sigmoids, longer": Net(activation="sigmoid", depth=1, lr=0.5, steps=150),
    "deep, normalised": Net(depth=10, norm=True),
    "deep, residual": Net(depth=14, residual=True, lr=0.02),
    "gelu, AdamW": Net(activation="gelu", optimizer="AdamW", lr=3e-3, weight_decay=0.01),
    "convolutions": Net(kind="conv"),
    "LSTM": Net(kind="LSTM", optimizer="Adam", lr=0.01),
    "RNN, clipped": Net(kind="RNN", activation="tanh", clip=1.0),
    "modules, dropout": Net(kind="modules", lr=0.1),
    "regression": Net(loss="regression", lr=0.02),
}
