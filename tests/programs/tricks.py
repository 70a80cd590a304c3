"""Ways of training: mixed precision, accumulation, gradients of gradients, custom ops, hooks, saving and resuming."""

from __future__ import annotations

import copy
import io
from collections import OrderedDict, defaultdict
from typing import Any

import numpy as np

from .libraries import program


@program(tolerance=0.05)
def mixed_precision(lib: Any, run: Any) -> None:
    """autocast to bfloat16 with a GradScaler, accumulation over batches, unscaling before clipping; float32 beside it."""
    torch, nn, F, optim = lib.torch, lib.nn, lib.F, lib.optim
    device_type = "cpu"
    model = run.start(nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.LayerNorm(16), nn.Linear(16, 3)))
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scaler = torch.amp.GradScaler(device_type, enabled=True, init_scale=2.0**8)
    x, y = run.floats(12, 8), run.ints(3, 12)
    accumulation_steps = 2
    for _ in range(3):
        optimizer.zero_grad()
        for i in range(accumulation_steps):
            xb, yb = x[i::accumulation_steps], y[i::accumulation_steps]
            with torch.autocast(device_type=device_type, dtype=torch.bfloat16, enabled=True):
                output = model(xb)
                run.log(str(model[0](xb).dtype).endswith("bfloat16"), "bfloat16")
                loss = F.cross_entropy(output, yb) / accumulation_steps
            run.log(str(loss.dtype).rpartition(".")[2], "dtype")
            scaler.scale(loss).backward()
            run.log(loss.item())
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
        scaler.step(optimizer)
        scaler.update()
    run.log(scaler.get_scale(), "scale")
    run.finish(model)


@program
def schedules(lib: Any, run: Any) -> None:
    """A small network under one scheduler after the other, with their states saved and loaded on the way."""
    nn, F, optim = lib.nn, lib.F, lib.optim
    schedulers = lib.lr_scheduler
    x, y = run.floats(8, 4), run.floats(8, 2)
    makers = OrderedDict(
        step=lambda o: schedulers.MultiStepLR(o, milestones=[2, 4], gamma=0.1),
        restarts=lambda o: schedulers.CosineAnnealingWarmRestarts(o, T_0=2, T_mult=2, eta_min=1e-4),
        onecycle=lambda o: schedulers.OneCycleLR(o, max_lr=0.1, total_steps=6, pct_start=0.5, anneal_strategy="linear"),
        polynomial=lambda o: schedulers.PolynomialLR(o, total_iters=5, power=2.0),
        multiplicative=lambda o: schedulers.MultiplicativeLR(o, lr_lambda=lambda epoch: 0.9),
        sequential=lambda o: schedulers.SequentialLR(
            o, [schedulers.LinearLR(o, start_factor=0.1, total_iters=2), schedulers.CosineAnnealingLR(o, T_max=4)], milestones=[2]
        ),
        chained=lambda o: schedulers.ChainedScheduler([schedulers.ConstantLR(o, 0.5, 2), schedulers.ExponentialLR(o, 0.9)]),
    )
    for name, make in makers.items():
        model = run.start(nn.Sequential(OrderedDict([("hidden", nn.Linear(4, 6)), ("act", nn.SELU()), ("out", nn.Linear(6, 2))])))
        optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9, dampening=0.1)
        scheduler = make(optimizer)
        for step in range(6):
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
            scheduler.step()
            run.log(loss.item())
            run.log(optimizer.param_groups[0]["lr"], name)
            if step == 2 and name not in ("sequential", "chained"):
                saved = copy.deepcopy(scheduler.state_dict()), copy.deepcopy(optimizer.state_dict())
                optimizer = optim.SGD(model.parameters(), lr=1.0, momentum=0.9, dampening=0.1)
                scheduler = make(optimizer)
                scheduler.load_state_dict(saved[0])
                optimizer.load_state_dict(saved[1])
        run.finish(model, name + ".")


@program
def meta_learning(lib: Any, run: Any) -> None:
    """MAML: inner steps with create_graph, written with a forward over a list of weights."""
    torch, nn, F, optim = lib.torch, lib.nn, lib.F, lib.optim

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear1, self.linear2 = nn.Linear(1, 8), nn.Linear(8, 1)

        def forward(self, x):
            return self.linear2(torch.tanh(self.linear1(x)))

        def parameterised(self, x, weights):
            x = torch.tanh(F.linear(x, weights[0], weights[1]))
            return F.linear(x, weights[2], weights[3])

    model = run.start(Model())
    weights = list(model.parameters())
    meta_optimiser = optim.Adam(weights, 1e-2)
    for _ in range(5):
        meta_loss = 0
        for _ in range(2):
            amplitude, phase = run.rng.uniform(0.1, 5), run.rng.uniform(0, np.pi)
            X, X2 = run.floats(6, 1), run.floats(6, 1)
            y, y2 = (X + phase).sin() * amplitude, (X2 + phase).sin() * amplitude
            temp_weights = [w.clone() for w in weights]
            for _ in range(2):
                loss = F.mse_loss(model.parameterised(X, temp_weights), y)
                grad = torch.autograd.grad(loss, temp_weights, create_graph=True)
                temp_weights = [w - 0.05 * g for w, g in zip(temp_weights, grad, strict=True)]
            meta_loss = meta_loss + F.mse_loss(model.parameterised(X2, temp_weights), y2)
        meta_grads = torch.autograd.grad(meta_loss / 2, weights)
        for w, g in zip(weights, meta_grads, strict=True):
            w.grad = g
        meta_optimiser.step()
        run.log(meta_loss.item() / 2)
    run.finish(model)


@program
def custom_functions(lib: Any, run: Any) -> None:
    """autograd.Function: a rounding with straight-through gradients, reversed gradients, a Swish that saves its input."""
    torch, nn, F, optim = lib.torch, lib.nn, lib.F, lib.optim

    class Binarize(torch.autograd.Function):
        @staticmethod
        def forward(ctx, input):
            ctx.save_for_backward(input)
            return input.sign()

        @staticmethod
        def backward(ctx, grad_output):
            (input,) = ctx.saved_tensors
            grad_input = grad_output.clone()
            grad_input[input.ge(1)] = 0
            grad_input[input.le(-1)] = 0
            return grad_input

    class ReverseLayerF(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, alpha):
            ctx.alpha = alpha
            return x.view_as(x)

        @staticmethod
        def backward(ctx, grad_output):
            output = grad_output.neg() * ctx.alpha
            return output, None

    class SwishImplementation(torch.autograd.Function):
        @staticmethod
        def forward(ctx, i):
            result = i * torch.sigmoid(i)
            ctx.save_for_backward(i)
            return result

        @staticmethod
        def backward(ctx, grad_output):
            i = ctx.saved_tensors[0]
            sigmoid_i = torch.sigmoid(i)
            return grad_output * (sigmoid_i * (1 + i * (1 - sigmoid_i)))

    class LinearFunction(torch.autograd.Function):
        @staticmethod
        def forward(input, weight, bias):
            output = input.mm(weight.t())
            if bias is not None:
                output += bias.unsqueeze(0).expand_as(output)
            return output

        @staticmethod
        def setup_context(ctx, inputs, output):
            input, weight, bias = inputs
            ctx.save_for_backward(input, weight, bias)

        @staticmethod
        def backward(ctx, grad_output):
            input, weight, bias = ctx.saved_tensors
            grad_input = grad_weight = grad_bias = None
            if ctx.needs_input_grad[0]:
                grad_input = grad_output.mm(weight)
            if ctx.needs_input_grad[1]:
                grad_weight = grad_output.t().mm(input)
            if bias is not None and ctx.needs_input_grad[2]:
                grad_bias = grad_output.sum(0)
            return grad_input, grad_weight, grad_bias

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(8, 5))
            self.bias = nn.Parameter(torch.randn(8))
            stdv = 1.0 / self.weight.size(1) ** 0.5
            self.weight.data.uniform_(-stdv, stdv)
            self.register_parameter("unused", None)
            self.classify, self.domain = nn.Linear(8, 3), nn.Linear(8, 2)

        def forward(self, x, alpha):
            h = SwishImplementation.apply(LinearFunction.apply(x, self.weight, self.bias))
            h = Binarize.apply(h) + h
            return self.classify(h), self.domain(ReverseLayerF.apply(h, alpha))

    model = run.start(Network())
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    x, y, domain = run.floats(9, 5), run.ints(3, 9), run.ints(2, 9)
    for step in range(6):
        p = step / 6
        alpha = 2.0 / (1.0 + np.exp(-10 * p)) - 1
        optimizer.zero_grad()
        class_output, domain_output = model(x, alpha)
        loss = F.cross_entropy(class_output, y) + nn.NLLLoss()(nn.LogSoftmax(dim=1)(domain_output), domain)
        loss.backward()
        optimizer.step()
        run.log(loss.item())
    run.finish(model)


@program
def distillation_and_hooks(lib: Any, run: Any) -> None:
    """A teacher in eval mode, features by forward hooks, gradients changed by tensor hooks, Grad-CAM, weight decay by hand."""
    torch, nn, F, optim = lib.torch, lib.nn, lib.F, lib.optim

    def net(width):
        return nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1), nn.ReLU6(inplace=False), nn.Dropout2d(0.0), nn.Conv2d(width, width, 3, groups=2),
            nn.Hardtanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(1), nn.Linear(width, 3),
        )  # fmt: skip

    teacher, student = run.start(net(8)), run.start(net(4))
    teacher.eval()
    for p in teacher.parameters():
        p.requires_grad_(False)
    features, gradients = {}, defaultdict(list)

    def get_features(name):
        def hook(model, input, output):
            features[name] = output

        return hook

    def save_gradient(module, grad_input, grad_output):
        gradients["conv"].append(grad_output[0].detach())

    handles = [m[3].register_forward_hook(get_features(n)) for n, m in (("teacher", teacher), ("student", student))]
    handles.append(student[3].register_full_backward_hook(save_gradient))
    student[7].bias.register_hook(lambda grad: grad * 2)
    adapt = run.start(nn.Conv2d(4, 8, 1))
    optimizer = optim.Adam([*student.parameters(), *adapt.parameters()], lr=1e-2)
    x, y = run.floats(5, 1, 6, 6), run.ints(3, 5)
    T = 4.0
    for _ in range(5):
        optimizer.zero_grad()
        with torch.no_grad():
            teacher_logits = teacher(x)
        student_logits = student(x)
        soft_targets = nn.functional.softmax(teacher_logits / T, dim=-1)
        soft_prob = nn.functional.log_softmax(student_logits / T, dim=-1)
        loss = torch.sum(soft_targets * (soft_targets.log() - soft_prob)) / soft_prob.size()[0] * (T**2)
        loss = loss + nn.KLDivLoss(reduction="batchmean", log_target=True)(soft_prob, soft_targets.log())
        loss = loss + F.mse_loss(adapt(features["student"]), features["teacher"]) + F.cross_entropy(student_logits, y)
        l2 = sum(p.pow(2.0).sum() for p in student.parameters())
        loss = loss + 1e-3 * l2
        loss.backward()
        optimizer.step()
        run.log(loss.item())
    pooled = torch.mean(gradients["conv"][-1], dim=[0, 2, 3])
    heatmap = (features["student"] * pooled[None, :, None, None]).mean(dim=1).squeeze().relu()
    heatmap = heatmap / torch.max(heatmap)
    run.log(F.interpolate(heatmap.unsqueeze(1), size=(6, 6), mode="bicubic", align_corners=False), "heatmap")
    for h in handles:
        h.remove()
    x.requires_grad = True
    loss = F.cross_entropy(student(x), y)
    student.zero_grad()
    loss.backward()
    perturbed = torch.clamp(x + 0.1 * x.grad.data.sign(), -2, 2)  # the fast gradient sign method
    run.log(F.cross_entropy(student(perturbed.detach()), y).item(), "attacked loss")
    run.finish(student)


@program
def style_transfer(lib: Any, run: Any) -> None:
    """An image optimised under frozen features: Gram matrices, total variation, LBFGS on pixels, modules with saved targets."""
    torch, nn, F, optim = lib.torch, lib.nn, lib.F, lib.optim

    def gram_matrix(input):
        a, b, c, d = input.size()
        features = input.view(a * b, c * d)
        G = torch.mm(features, features.t())
        return G.div(a * b * c * d)

    class ContentLoss(nn.Module):
        def __init__(self, target):
            super().__init__()
            self.target = target.detach()

        def forward(self, input):
            self.loss = F.mse_loss(input, self.target)
            return input

    class StyleLoss(nn.Module):
        def __init__(self, target_feature):
            super().__init__()
            self.target = gram_matrix(target_feature).detach()

        def forward(self, input):
            self.loss = F.mse_loss(gram_matrix(input), self.target)
            return input

    class Normalization(nn.Module):
        def __init__(self, mean, std):
            super().__init__()
            self.mean = torch.as_tensor(mean).clone().detach().view(-1, 1, 1)
            self.std = torch.as_tensor(std).clone().detach().view(-1, 1, 1)

        def forward(self, img):
            return (img - self.mean) / self.std

    cnn = run.start(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(inplace=True), nn.AvgPool2d(2), nn.Conv2d(4, 6, 3)))
    cnn.requires_grad_(False)
    content_img, style_img = run.uniform(1, 3, 8, 8), run.uniform(1, 3, 8, 8)
    model = nn.Sequential(Normalization([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    content_losses, style_losses = [], []
    i = 0
    for layer in cnn.children():
        if isinstance(layer, nn.Conv2d):
            i += 1
            name = f"conv_{i}"
        elif isinstance(layer, nn.ReLU):
            name = f"relu_{i}"
            layer = nn.ReLU(inplace=False)
        else:
            name = f"pool_{i}"
        model.add_module(name, layer)
        if name == "conv_2":
            content_losses.append(ContentLoss(model(content_img).detach()))
            model.add_module(f"content_loss_{i}", content_losses[-1])
        if name.startswith("conv"):
            style_losses.append(StyleLoss(model(style_img).detach()))
            model.add_module("style_loss_{}".format(i), style_losses[-1])  # noqa: UP032
    input_img = content_img.clone()
    input_img.requires_grad_(True)
    model.eval()
    optimizer = optim.LBFGS([input_img], max_iter=4)
    steps = [0]
    while steps[0] <= 6:

        def closure():
            with torch.no_grad():
                input_img.clamp_(0, 1)
            optimizer.zero_grad()
            model(input_img)
            style_score = content_score = 0
            for sl in style_losses:
                style_score += sl.loss
            for cl in content_losses:
                content_score += cl.loss
            variation = (input_img[:, :, 1:] - input_img[:, :, :-1]).abs().mean() + input_img.diff(dim=-1).abs().mean()
            loss = style_score * 10 + content_score + 0.1 * variation
            loss.backward()
            steps[0] += 1
            run.log(loss.item())
            return loss

        optimizer.step(closure)
    run.finish({"image": input_img})


@program
def old_style(lib: Any, run: Any) -> None:
    """A program of 2017: Variable, FloatTensor, type(), volatile habits, losses as modules, size-free views, manual updates."""
    torch, nn = lib.torch, lib.nn
    Variable = torch.autograd.Variable
    dtype = torch.FloatTensor
    Tensor = torch.cuda.FloatTensor if torch.cuda.is_available() and False else torch.FloatTensor

    class GraphLayer(nn.Module):
        def __init__(self, in_features, out_features, bias=True):
            super(GraphLayer, self).__init__()  # noqa: UP008
            self.weight = nn.Parameter(torch.FloatTensor(in_features, out_features))
            if bias:
                self.bias = nn.Parameter(torch.FloatTensor(out_features))
            else:
                self.register_parameter("bias", None)
            self.reset_parameters()

        def reset_parameters(self):
            stdv = 1.0 / self.weight.size(1) ** 0.5
            self.weight.data.uniform_(-stdv, stdv)
            if self.bias is not None:
                self.bias.data.uniform_(-stdv, stdv)

        def forward(self, input, adj):
            support = torch.mm(input, self.weight)
            output = torch.spmm(adj, support) if adj.is_sparse else torch.mm(adj, support)
            return output + self.bias if self.bias is not None else output

        def __repr__(self):
            return self.__class__.__name__ + " (" + str(self.weight.size(0)) + " -> " + str(self.weight.size(1)) + ")"

    model = run.start(GraphLayer(4, 3))
    run.log(repr(model), "print(model)")
    x = Variable(run.floats(6, 4).type(dtype), requires_grad=False)
    adj = torch.eye(6).type_as(x)
    adj[0, 1] = adj[1, 0] = 1
    valid = Variable(Tensor(x.size(0), 1).fill_(1.0), requires_grad=False)
    labels = Variable(torch.LongTensor(run.rng.integers(0, 3, 6)))
    criterion = nn.CrossEntropyLoss()
    running = 0.0
    for epoch in range(5):
        output = model(x, adj) * valid
        loss = criterion(output, labels)
        model.zero_grad()
        loss.backward()
        for f in model.parameters():
            f.data.sub_(f.grad.data * 0.5)
        running += loss.data.item()
        _, predicted = torch.max(output.data, 1)
        c = (predicted == labels).squeeze()
        run.log(loss.data.cpu().numpy().item())
        run.log([c[i].item() for i in range(6)].count(True), "correct")
        run.log("[%d] loss: %.3f" % (epoch + 1, running / (epoch + 1)), "line")  # noqa: UP031
    nn.init.xavier_uniform_(model.weight.data, gain=nn.init.calculate_gain("relu"))
    run.finish({"bias": model.bias, "mask": output.data.new(2, 2).zero_().unsqueeze_(0)})


@program
def parameters_as_vectors(lib: Any, run: Any) -> None:
    """Evolution and natural gradients over flat parameters: vectors, Fisher products by double backward, conjugate gradients."""
    torch, nn, F = lib.torch, lib.nn, lib.F
    to_vector, to_parameters = lib.nn.utils.parameters_to_vector, lib.nn.utils.vector_to_parameters
    model = run.start(nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)))
    x, y = run.floats(10, 3), run.ints(2, 10)

    def fisher_product(v, damping=0.1):
        logp = F.log_softmax(model(x), -1)
        kl = (logp.detach().exp() * (logp.detach() - logp)).sum(-1).mean()
        grads = torch.autograd.grad(kl, model.parameters(), create_graph=True)
        flat = torch.cat([g.contiguous().view(-1) for g in grads])
        again = torch.autograd.grad((flat * v).sum(), model.parameters())
        return torch.cat([g.reshape(-1) for g in again]) + v * damping

    def conjugate_gradients(b, nsteps=4):
        result = torch.zeros(b.size())
        r, p = b.clone(), b.clone()
        rdotr = torch.dot(r, r)
        for _ in range(nsteps):
            product = fisher_product(p)
            alpha = rdotr / torch.dot(p, product)
            result += alpha * p
            r -= alpha * product
            new = torch.dot(r, r)
            p = r + new / rdotr * p
            rdotr = new
            if rdotr < 1e-10:
                break
        return result

    for _ in range(5):
        loss = F.cross_entropy(model(x), y)
        gradient = to_vector(torch.autograd.grad(loss, tuple(model.parameters()))).detach()
        step = conjugate_gradients(gradient)
        size = (2 * 0.05 / (step @ fisher_product(step)).clamp_min(1e-8)).sqrt()
        to_parameters(to_vector(model.parameters()) - size * step, model.parameters())
        run.log(loss.item())
    theta = to_vector(model.parameters()).detach()
    noise = torch.stack([run.floats(len(theta), scale=0.1) for _ in range(4)])
    rewards = []
    with torch.no_grad():
        for eps in noise:
            to_parameters(theta + eps, model.parameters())
            rewards.append(-F.cross_entropy(model(x), y).item())
        rewards = torch.tensor(rewards)
        ranks = rewards.argsort().argsort().float() / (len(rewards) - 1) - 0.5
        to_parameters(theta + 0.1 * (ranks @ noise), model.parameters())
        run.log(F.cross_entropy(model(x), y).item(), "evolved loss")
    run.finish(model)


@program
def pickled_checkpoint(lib: Any, run: Any) -> None:
    """A model, its optimizer and early stopping, kept in memory as bytes of NumPy's, loaded into new objects, and trained on."""
    torch, nn, F, optim = lib.torch, lib.nn, lib.F, lib.optim

    class EarlyStopping:
        def __init__(self, patience=2):
            self.patience, self.counter, self.best_score = patience, 0, None

        def __call__(self, val_loss):
            if self.best_score is None or -val_loss > self.best_score:
                self.best_score, self.counter = -val_loss, 0
            else:
                self.counter += 1
            return self.counter >= self.patience

    class ChannelAttention(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.squeeze = nn.AdaptiveAvgPool1d(1)
            self.excite = nn.Sequential(
                nn.Linear(channels, 2, bias=False), nn.Hardsigmoid(), nn.Linear(2, channels), nn.Sigmoid()
            )

        def forward(self, x):
            b, c, _ = x.size()
            y = self.squeeze(x).view(b, c)
            return x * self.excite(y).view(b, c, 1).expand_as(x)

    def build():
        layers = [nn.Conv1d(2, 6, 3, padding=2, dilation=2), nn.BatchNorm1d(6), nn.CELU(), ChannelAttention(6), nn.MaxPool1d(2)]
        layers += [nn.ConvTranspose1d(6, 2, 4, stride=2, padding=1), nn.Softsign()]
        return nn.Sequential(*layers)

    model = run.start(build())
    optimizer = optim.Adam(model.parameters(), lr=1e-2, weight_decay=1e-3)
    x = run.floats(6, 2, 8)
    stopper = EarlyStopping()
    for epoch in range(8):
        model.train()
        optimizer.zero_grad(set_to_none=False)
        loss = F.smooth_l1_loss(model(x), x.tanh(), beta=0.5)
        loss.backward()
        optimizer.step()
        model.eval()
        with torch.no_grad():
            val_loss = F.l1_loss(model(x), x.tanh())
        run.log(loss.item())
        run.log(val_loss.item(), "validation loss")
        run.log(stopper(val_loss.item()), "stop")
        if epoch == 3:
            buffer = io.BytesIO()
            np.savez(buffer, **{k: v.cpu().numpy() for k, v in model.state_dict().items()})
            buffer.seek(0)
            model = build()
            state = {k: torch.from_numpy(np.asarray(v)) for k, v in np.load(buffer).items()}
            missing, unexpected = model.load_state_dict(state, strict=False)
            run.log((len(missing), len(unexpected)), "keys")
            kept = copy.deepcopy(optimizer.state_dict())
            optimizer = optim.Adam(model.parameters(), lr=1.0)
            optimizer.load_state_dict(kept)
    run.finish(model)


@program
def own_optimizer_and_data(lib: Any, run: Any) -> None:
    """Subclasses of Optimizer, of a scheduler, of Dataset and of a Sampler, a collate function, and Lookahead around them."""
    torch, nn, F, data = lib.torch, lib.nn, lib.F, lib.data
    from math import sqrt

    class Ranger(torch.optim.Optimizer):
        def __init__(self, params, lr=1e-3, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.0):
            if not 0.0 <= lr:
                raise ValueError(f"Invalid learning rate: {lr}")
            defaults = dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
            super().__init__(params, defaults)

        def __setstate__(self, state):
            super().__setstate__(state)
            for group in self.param_groups:
                group.setdefault("weight_decay", 0.0)

        @torch.no_grad()
        def step(self, closure=None):
            loss = None
            if closure is not None:
                with torch.enable_grad():
                    loss = closure()
            for group in self.param_groups:
                beta1, beta2 = group["betas"]
                for p in group["params"]:
                    if p.grad is None:
                        continue
                    grad = p.grad
                    if grad.is_sparse:
                        raise RuntimeError("no sparse gradients")
                    if grad.dim() > 1:
                        grad = grad.add(-grad.mean(dim=tuple(range(1, grad.dim())), keepdim=True))
                    state = self.state[p]
                    if len(state) == 0:
                        state["step"] = 0
                        state["exp_avg"] = torch.zeros_like(p, memory_format=torch.preserve_format)
                        state["exp_avg_sq"] = torch.zeros_like(p.data)
                    exp_avg, exp_avg_sq = state["exp_avg"], state["exp_avg_sq"]
                    state["step"] += 1
                    p.data.mul_(1 - group["lr"] * group["weight_decay"])
                    exp_avg.mul_(beta1).add_(grad, alpha=1 - beta1)
                    exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
                    denom = exp_avg_sq.sqrt().add_(group["eps"])
                    step_size = group["lr"] * sqrt(1 - beta2 ** state["step"]) / (1 - beta1 ** state["step"])
                    p.addcdiv_(exp_avg, denom, value=-step_size)
            return loss

    class WarmupPoly(lib.lr_scheduler._LRScheduler):
        def __init__(self, optimizer, warmup, total, last_epoch=-1):
            self.warmup, self.total = warmup, total
            super().__init__(optimizer, last_epoch)

        def get_lr(self):
            if self.last_epoch < self.warmup:
                factor = (self.last_epoch + 1) / self.warmup
            else:
                factor = (1 - (self.last_epoch - self.warmup) / (self.total - self.warmup)) ** 0.9
            return [base_lr * factor for base_lr in self.base_lrs]

    class Sequences(data.Dataset):
        def __init__(self, numbers, transform=None):
            self.numbers, self.transform = numbers, transform

        def __len__(self):
            return len(self.numbers)

        def __getitem__(self, idx):
            sample = {"x": self.numbers[idx], "length": len(self.numbers[idx])}
            return self.transform(sample) if self.transform else sample

    class ByLength(data.Sampler):
        def __init__(self, dataset):
            self.dataset = dataset

        def __iter__(self):
            return iter(sorted(range(len(self.dataset)), key=lambda i: self.dataset[i]["length"]))

        def __len__(self):
            return len(self.dataset)

    def collate(batch):
        longest = max(sample["length"] for sample in batch)
        x = torch.stack([F.pad(sample["x"], (0, longest - sample["length"])) for sample in batch])
        return x, torch.tensor([sample["length"] for sample in batch])

    class Normalise:
        def __call__(self, sample):
            return {**sample, "x": (sample["x"] - sample["x"].mean()) / (sample["x"].std() + 1e-5)}

    numbers = [run.floats(int(n)) for n in run.rng.integers(3, 7, 10)]
    dataset = Sequences(numbers, transform=Normalise())
    loader = data.DataLoader(dataset, batch_size=4, sampler=ByLength(dataset), collate_fn=collate, drop_last=False, num_workers=0)
    run.log((len(dataset), len(loader)), "sizes")
    first, rest = data.random_split(dataset, [4, 6], generator=torch.Generator().manual_seed(1))
    run.log((len(first), len(data.ConcatDataset([first, rest])), len(data.Subset(dataset, [1, 2]))), "parts")
    model = run.start(nn.Sequential(nn.Linear(1, 6), nn.Tanh(), nn.Linear(6, 1)))
    optimizer = Ranger(model.parameters(), lr=2e-2, weight_decay=0.01)
    scheduler = WarmupPoly(optimizer, 2, 10)
    slow = [p.clone().detach() for p in model.parameters()]
    for _ in range(3):
        for x, lengths in loader:
            mask = torch.arange(x.size(1)).unsqueeze(0) < lengths.unsqueeze(1)
            loss = (model(x.unsqueeze(-1)).squeeze(-1) - x.roll(-1, 1)).masked_select(mask).pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            run.log(loss.item())
        scheduler.step()
        run.log(scheduler.get_last_lr()[0], "learning rate")
        with torch.no_grad():
            for p, q in zip(model.parameters(), slow, strict=True):
                q.add_(p - q, alpha=0.5)
                p.copy_(q)
    run.finish(model)


@program
def functional_call_and_ensembles(lib: Any, run: Any) -> None:
    """A network called with other weights, gradients through the update of them, and a hypernetwork that makes weights."""
    torch, nn, F, optim = lib.torch, lib.nn, lib.F, lib.optim
    functional_call = lib.nn.utils.stateless.functional_call
    net = run.start(nn.Sequential(nn.Linear(3, 4), nn.Softplus(beta=2), nn.Linear(4, 1)))
    rates = nn.Parameter(torch.full((4,), 0.1))
    hyper = run.start(
        nn.ModuleDict({"embed": nn.Embedding(2, 3), "make": nn.Linear(3, sum(p.numel() for p in net.parameters()))})
    )
    optimizer = optim.Adam([*net.parameters(), rates, *hyper.parameters()], lr=1e-2)
    x, y = run.floats(8, 3), run.floats(8, 1)
    for step in range(6):
        params = dict(net.named_parameters())
        loss = F.mse_loss(functional_call(net, params, (x[:4],)), y[:4])
        grads = torch.autograd.grad(loss, list(params.values()), create_graph=True)
        fast = {k: p - r * g for (k, p), g, r in zip(params.items(), grads, F.softplus(rates), strict=True)}
        outer = F.mse_loss(functional_call(net, fast, x[4:]), y[4:])
        flat = hyper["make"](hyper["embed"](torch.tensor(step % 2)))
        pieces = flat.split([p.numel() for p in params.values()])
        made = {k: p.detach() + 0.1 * piece.view_as(p) for (k, p), piece in zip(params.items(), pieces, strict=True)}
        outer = outer + F.mse_loss(functional_call(net, made, x), y)
        optimizer.zero_grad()
        outer.backward()
        optimizer.step()
        run.log(outer.item())
    run.finish({**net.state_dict(), "rates": rates, **hyper.state_dict()})
