"""Physics, graphs and statistics."""

from __future__ import annotations

from typing import Any

import numpy as np

from .libraries import program


@program(double=True)
def physics_informed(lib: Any, run: Any) -> None:
    """A PINN for Burgers' equation: second derivatives by autograd.grad inside the loss, Adam and then LBFGS."""
    torch, nn, optim = lib.torch, lib.nn, lib.optim

    class DNN(torch.nn.Module):
        def __init__(self, layers):
            super().__init__()
            self.depth = len(layers) - 1
            from collections import OrderedDict

            layer_list = list()
            for i in range(self.depth - 1):
                layer_list.append(("layer_%d" % i, torch.nn.Linear(layers[i], layers[i + 1])))  # noqa: UP031
                layer_list.append(("activation_%d" % i, nn.Tanh()))  # noqa: UP031
            layer_list.append(("layer_%d" % (self.depth - 1), torch.nn.Linear(layers[-2], layers[-1])))  # noqa: UP031
            self.layers = torch.nn.Sequential(OrderedDict(layer_list))
            self.lambda_1 = torch.nn.Parameter(torch.tensor([0.5], requires_grad=True))

        def forward(self, x):
            return self.layers(x)

    dnn = run.start(DNN([2, 8, 8, 1]))
    x = run.uniform(12, 1).requires_grad_(True)
    t = run.uniform(12, 1).clone().detach().requires_grad_(True)
    x0, u0 = run.uniform(6, 1), run.floats(6, 1)

    def net_u(x, t):
        return dnn(torch.cat([x, t], dim=1))

    def net_f(x, t):
        u = net_u(x, t)
        ones = torch.ones_like(u)
        u_t = torch.autograd.grad(u, t, grad_outputs=ones, retain_graph=True, create_graph=True)[0]
        u_x = torch.autograd.grad(u, x, grad_outputs=ones, retain_graph=True, create_graph=True)[0]
        u_xx = torch.autograd.grad(u_x, x, grad_outputs=torch.ones_like(u_x), retain_graph=True, create_graph=True)[0]
        return u_t + dnn.lambda_1 * u * u_x - 0.01 * u_xx

    def loss_func():
        u_pred = net_u(x0, torch.zeros_like(x0))
        return torch.mean((u0 - u_pred) ** 2) + torch.mean(net_f(x, t) ** 2)

    optimizer = optim.Adam(dnn.parameters(), lr=1e-2)
    for _ in range(4):
        optimizer.zero_grad()
        loss = loss_func()
        loss.backward()
        optimizer.step()
        run.log(loss.item())
    lbfgs = torch.optim.LBFGS(
        dnn.parameters(), lr=1.0, max_iter=6, history_size=5, tolerance_grad=1e-9, tolerance_change=1.0 * np.finfo(float).eps
    )

    def closure():
        lbfgs.zero_grad()
        loss = loss_func()
        loss.backward()
        run.log(loss.item())
        return loss

    lbfgs.step(closure)
    run.finish(dnn)


@program(double=True)
def neural_ode(lib: Any, run: Any) -> None:
    """A neural ODE integrated by Runge-Kutta, with an adjoint as a custom Function and, beside it, plain backpropagation."""
    torch, nn, optim = lib.torch, lib.nn, lib.optim

    class ODEFunc(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2))
            for m in self.net.modules():
                if isinstance(m, nn.Linear):
                    nn.init.normal_(m.weight, mean=0, std=0.1)
                    nn.init.constant_(m.bias, val=0)

        def forward(self, t, y):
            return self.net(y**3)

    def rk4_step(func, t, dt, y):
        k1 = func(t, y)
        k2 = func(t + dt / 2, y + dt * k1 / 2)
        k3 = func(t + dt / 2, y + dt * k2 / 2)
        k4 = func(t + dt, y + dt * k3)
        return (k1 + 2 * k2 + 2 * k3 + k4) * dt / 6

    def odeint(func, y0, t):
        ys = [y0]
        for t0, t1 in zip(t[:-1], t[1:], strict=True):
            ys.append(ys[-1] + rk4_step(func, t0, t1 - t0, ys[-1]))
        return torch.stack(ys)

    class Euler(torch.autograd.Function):
        """Euler's method whose backward integrates the adjoint."""

        @staticmethod
        def forward(ctx, func, y0, dt, steps, *params):
            ctx.func, ctx.dt = func, dt
            ys = [y0.detach()]
            with torch.no_grad():
                for _ in range(steps):
                    ys.append(ys[-1] + dt * func(0.0, ys[-1]))
            ctx.save_for_backward(*ys[:-1], *params)
            ctx.steps = steps
            return ys[-1].clone()

        @staticmethod
        def backward(ctx, grad_y):
            ys, params = ctx.saved_tensors[: ctx.steps], ctx.saved_tensors[ctx.steps :]
            adjoint, grads = grad_y, [torch.zeros_like(p) for p in params]
            for y in reversed(ys):
                with torch.enable_grad():
                    y = y.detach().requires_grad_(True)
                    out = y + ctx.dt * ctx.func(0.0, y)
                    step = torch.autograd.grad(out, (y, *params), adjoint, allow_unused=True)
                adjoint = step[0]
                grads = [g + s for g, s in zip(grads, step[1:], strict=True)]
            return (None, adjoint, None, None, *grads)

    true_A = torch.tensor([[-0.1, 2.0], [-2.0, -0.1]])
    t = torch.linspace(0.0, 1.0, 6)
    with torch.no_grad():
        true_y = odeint(lambda t, y: torch.mm(y**3, true_A), torch.tensor([[2.0, 0.0]]), t)
    func = run.start(ODEFunc())
    optimizer = optim.RMSprop(func.parameters(), lr=1e-2)
    for k in range(8):
        optimizer.zero_grad()
        if k % 2:
            last = Euler.apply(func, true_y[0], 0.1, 5, *func.parameters())
            loss = torch.mean(torch.abs(last - true_y[-1]))
        else:
            loss = torch.mean(torch.abs(odeint(func, true_y[0], t) - true_y))
        loss.backward()
        optimizer.step()
        run.log(loss.item())
    run.finish(func)


@program
def graph_convolution(lib: Any, run: Any) -> None:
    """Graph networks: a normalised adjacency by scatter and index_add, attention over edges, pooling by graph."""
    torch, nn, F = lib.torch, lib.nn, lib.F

    def scatter_sum(src, index, dim_size):
        return src.new_zeros(dim_size, *src.shape[1:]).index_add_(0, index, src)

    def softmax_by(scores, index, num_nodes):
        top = scores.new_full((num_nodes,), float("-inf")).scatter_reduce_(0, index, scores, reduce="amax", include_self=False)
        out = (scores - top.detach().index_select(0, index)).exp()
        return out / (torch.zeros(num_nodes).scatter_add_(0, index, out)[index] + 1e-16)

    class GCNConv(nn.Module):
        def __init__(self, in_channels, out_channels):
            super().__init__()
            self.lin = nn.Linear(in_channels, out_channels, bias=False)
            self.bias = nn.Parameter(torch.empty(out_channels))
            self.reset_parameters()

        def reset_parameters(self):
            nn.init.xavier_uniform_(self.lin.weight)
            self.bias.data.zero_()

        def forward(self, x, edge_index):
            loops = torch.arange(x.size(0), device=x.device)
            row, col = torch.cat([edge_index, torch.stack([loops, loops])], dim=1)
            deg = torch.bincount(col, minlength=x.size(0)).to(x.dtype)
            deg_inv_sqrt = deg.pow(-0.5)
            deg_inv_sqrt[deg_inv_sqrt == float("inf")] = 0
            norm = deg_inv_sqrt[row] * deg_inv_sqrt[col]
            return scatter_sum(norm.view(-1, 1) * self.lin(x)[row], col, x.size(0)) + self.bias

    class GATConv(nn.Module):
        def __init__(self, in_channels, out_channels):
            super().__init__()
            self.W = nn.Parameter(torch.empty(size=(in_channels, out_channels)))
            nn.init.xavier_uniform_(self.W.data, gain=1.414)
            self.a = nn.Parameter(torch.empty(size=(2 * out_channels, 1)))
            nn.init.xavier_uniform_(self.a.data, gain=nn.init.calculate_gain("leaky_relu", 0.2))

        def forward(self, x, edge_index):
            Wh = torch.mm(x, self.W)
            row, col = edge_index
            e = F.leaky_relu(torch.cat([Wh[row], Wh[col]], dim=-1) @ self.a, 0.2).squeeze(-1)
            alpha = softmax_by(e, col, x.size(0))
            return F.elu(scatter_sum(alpha.unsqueeze(-1) * Wh[row], col, x.size(0)))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = GCNConv(5, 8)
            self.conv2 = GATConv(8, 6)
            self.lin = nn.LazyLinear(3) if False else nn.Linear(12, 3)

        def forward(self, x, edge_index, batch):
            x = self.conv2(F.relu(self.conv1(x, edge_index)), edge_index)
            size = int(batch.max()) + 1
            mean = scatter_sum(x, batch, size) / torch.bincount(batch).unsqueeze(1).clamp(min=1)
            return self.lin(torch.cat([mean, x.new_zeros(size, 6).index_reduce_(0, batch, x, "amax", include_self=False)], 1))

    edges = run.rng.integers(0, 8, (2, 20))
    edge_index = torch.from_numpy(np.concatenate([edges, edges[::-1]], 1))
    edge_index = torch.unique(edge_index, dim=1)
    batch = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2])
    x, y = run.floats(8, 5), torch.tensor([0, 2, 1])
    model = run.start(Net())
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
    for _ in range(6):
        model.train()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x, edge_index, batch), y)
        loss.backward()
        optimizer.step()
        run.log(loss.item())
    run.finish(model)


@program
def matrix_factorisation(lib: Any, run: Any) -> None:
    """Recommending: embeddings with biases, a factorisation machine's pairs, metrics by topk and by sorting."""
    torch, nn, F, optim = lib.torch, lib.nn, lib.F, lib.optim

    class MatrixFactorization(nn.Module):
        def __init__(self, num_users, num_items, n_factors=4):
            super().__init__()
            self.user_factors = nn.Embedding(num_users, n_factors)
            self.item_factors = nn.Embedding(num_items, n_factors)
            self.user_biases = nn.Embedding(num_users, 1)
            self.item_biases = nn.Embedding(num_items, 1)
            self.global_bias = nn.Parameter(torch.Tensor([0.1]))
            self.user_factors.weight.data.normal_(0, 0.1)
            self.item_factors.weight.data.uniform_(-0.05, 0.05)
            self.user_biases.weight.data.fill_(-0.01)
            self.item_biases.weight.data.zero_()

        def forward(self, user, item):
            pred = self.user_biases(user) + self.item_biases(item)
            pred += (self.user_factors(user) * self.item_factors(item)).sum(dim=1, keepdim=True)
            return pred.squeeze() + self.global_bias

    model = run.start(MatrixFactorization(6, 7))
    user, item = run.ints(6, 20), run.ints(7, 20)
    rating = (run.ints(5, 20) + 1).float()
    optimizer = optim.SGD(model.parameters(), lr=0.05, weight_decay=1e-5)
    scheduler = optim.lr_scheduler.CyclicLR(optimizer, base_lr=0.01, max_lr=0.1, step_size_up=2, mode="triangular2")
    mae = nn.L1Loss()
    for _ in range(6):
        permutation = torch.from_numpy(run.rng.permutation(20))
        for i in range(0, 20, 10):
            indices = permutation[i : i + 10]
            optimizer.zero_grad()
            prediction = model(user[indices], item[indices])
            loss = F.huber_loss(prediction, rating[indices], delta=1.5)
            loss.backward()
            optimizer.step()
        scheduler.step()
        run.log(loss.item())
        run.log(mae(prediction, rating[indices]).item(), "error")
    with torch.no_grad():
        scores = torch.mm(model.user_factors.weight, model.item_factors.weight.t()) + model.item_biases.weight.view(1, -1)
        scores[user, item] = -np.inf
        _, best = torch.topk(scores, k=3, dim=1)
        ranks = scores.argsort(dim=1, descending=True).argsort(dim=1)
        hits = torch.isin(best, torch.tensor([0, 1])).any(1).float().mean()
        run.log(torch.gather(ranks, 1, best), "ranks")
        run.log(hits, "hits")
    pairs = torch.triu_indices(4, 4, offset=1)
    fields = model.user_factors(torch.arange(4))
    interactions = (fields[pairs[0]] * fields[pairs[1]]).sum(-1)
    run.log(torch.einsum("if,jf->ij", fields, fields)[pairs[0], pairs[1]].sub(interactions).abs().max() < 1e-6, "pairs")
    users_loss = F.margin_ranking_loss(interactions, interactions.roll(1), torch.ones(6).neg(), margin=0.1)
    users_loss.backward()
    run.log(model.user_factors.weight.grad.norm(), "gradient")
    run.finish(model)


@program(double=True)
def statistics(lib: Any, run: Any) -> None:
    """Fits without modules: linear and logistic regression by hand, a mixture of Gaussians, k-means, PCA by power iteration."""
    torch, F = lib.torch, lib.F
    x, y = run.floats(16, 3), run.floats(16, 1)
    w = torch.zeros(3, 1, requires_grad=True)
    b = torch.zeros(1, requires_grad=True)
    for _ in range(5):
        loss = ((x.mm(w) + b - y) ** 2).mean()
        loss.backward()
        with torch.no_grad():
            for p in (w, b):
                p -= 0.1 * p.grad
                p.grad.zero_()
        run.log(loss.item())
    labels = (y > 0).to(x.dtype)
    v = run.floats(3, 1).requires_grad_()
    for _ in range(5):
        loss = F.binary_cross_entropy_with_logits(x @ v, labels, pos_weight=torch.tensor(1.5)) + 0.01 * v.abs().sum()
        (g,) = torch.autograd.grad(loss, v, create_graph=True)
        hessian = torch.stack([torch.autograd.grad(g[i, 0], v, retain_graph=True)[0].flatten() for i in range(3)])
        run.log(loss.item())
        run.log(hessian.trace(), "trace of the hessian")
        v.data.sub_(0.5 * g.data / hessian.diagonal().unsqueeze(1).clamp_min(0.1))
    means = run.floats(2, 3).requires_grad_()
    log_scales, mix = torch.zeros(2, 3, requires_grad=True), torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.Rprop([means, log_scales, mix], lr=0.01)
    for _ in range(5):
        optimizer.zero_grad()
        z = (x[:, None] - means) / log_scales.exp()
        joint = -0.5 * z.square().sum(-1) - log_scales.sum(-1) + torch.log_softmax(mix, 0)
        loss = -torch.logsumexp(joint, dim=1).mean()
        loss.backward()
        optimizer.step()
        run.log(loss.item())
    centers = x[:3].clone()
    for _ in range(3):
        assigned = torch.cdist(x, centers).argmin(dim=1)
        for k in range(3):
            if (assigned == k).any():
                centers[k] = x[assigned == k].mean(dim=0)
        counts = torch.stack([(assigned == k).sum() for k in range(3)])
        run.log(counts, "counts")
    centered = x - x.mean(0, keepdim=True)
    u = torch.ones(3) / 3**0.5
    for _ in range(20):
        u = centered.t().mv(centered.mv(u))
        u = u / u.norm()
    values, order = torch.sort(centered.matmul(u), descending=True)
    run.log(values.abs(), "projections")
    run.log(torch.quantile(x, torch.tensor([0.25, 0.5]), dim=0), "quantiles")
    run.finish({"w": w, "b": b, "v": v, "means": means, "log_scales": log_scales, "mix": mix, "centers": centers})
