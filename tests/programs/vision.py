"""Networks on images."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from .libraries import program


@program
def mnist_cnn(lib: Any, run: Any) -> None:
    """The convolutional network of pytorch/examples/mnist."""
    torch, nn, F, optim = lib.torch, lib.nn, lib.F, lib.optim
    StepLR = lib.lr_scheduler.StepLR

    class Net(nn.Module):
        def __init__(self):
            super(Net, self).__init__()  # noqa: UP008 (as public programs have it)
            self.conv1 = nn.Conv2d(1, 4, 3, 1)
            self.conv2 = nn.Conv2d(4, 8, 3, 1)
            self.dropout1 = nn.Dropout(0.0)
            self.dropout2 = nn.Dropout(0.0)
            self.fc1 = nn.Linear(8 * 5 * 5, 16)
            self.fc2 = nn.Linear(16, 10)

        def forward(self, x):
            x = self.conv1(x)
            x = F.relu(x)
            x = self.conv2(x)
            x = F.relu(x)
            x = F.max_pool2d(x, 2)
            x = self.dropout1(x)
            x = torch.flatten(x, 1)
            x = self.fc1(x)
            x = F.relu(x)
            x = self.dropout2(x)
            x = self.fc2(x)
            output = F.log_softmax(x, dim=1)
            return output

    def train(model, device, train_loader, optimizer, epoch):
        model.train()
        for batch_idx, (data, target) in enumerate(train_loader):
            data, target = data.to(device), target.to(device)
            optimizer.zero_grad()
            output = model(data)
            loss = F.nll_loss(output, target)
            loss.backward()
            optimizer.step()
            run.log(
                f"Train Epoch: {epoch} [{batch_idx * len(data)}/{len(train_loader.dataset)} "
                f"({100.0 * batch_idx / len(train_loader):.0f}%)]\tLoss: {loss.item():.3f}",
                "line",
            )
            run.log(loss.item())

    def test(model, device, test_loader):
        model.eval()
        test_loss = 0
        correct = 0
        with torch.no_grad():
            for data, target in test_loader:
                data, target = data.to(device), target.to(device)
                output = model(data)
                test_loss += F.nll_loss(output, target, reduction="sum").item()
                pred = output.argmax(dim=1, keepdim=True)
                correct += pred.eq(target.view_as(pred)).sum().item()
        test_loss /= len(test_loader.dataset)
        run.log(test_loss, "test loss")
        run.log(correct, "correct")

    torch.manual_seed(1)
    use_cuda = torch.cuda.is_available() and False
    device = torch.device("cuda" if use_cuda else "cpu")
    train_loader = lib.DataLoader(lib.TensorDataset(run.floats(20, 1, 14, 14), run.ints(10, 20)), batch_size=8)
    test_loader = lib.DataLoader(lib.TensorDataset(run.floats(12, 1, 14, 14), run.ints(10, 12)), batch_size=12)
    model = run.start(Net()).to(device)
    run.log(str(model), "print(model)")
    optimizer = optim.Adadelta(model.parameters(), lr=1.0)
    scheduler = StepLR(optimizer, step_size=1, gamma=0.7)
    for epoch in range(1, 3):
        train(model, device, train_loader, optimizer, epoch)
        test(model, device, test_loader)
        scheduler.step()
        run.log(scheduler.get_last_lr()[0], "learning rate")
    run.finish(model)


@program(tolerance=1e-3)
def resnet_cifar(lib: Any, run: Any) -> None:
    """A ResNet with basic blocks on images of CIFAR's shape, after kuangliu/pytorch-cifar."""
    torch, nn, F, optim = lib.torch, lib.nn, lib.F, lib.optim

    class BasicBlock(nn.Module):
        expansion = 1

        def __init__(self, in_planes, planes, stride=1):
            super().__init__()
            self.conv1 = nn.Conv2d(in_planes, planes, kernel_size=3, stride=stride, padding=1, bias=False)
            self.bn1 = nn.BatchNorm2d(planes)
            self.conv2 = nn.Conv2d(planes, planes, kernel_size=3, stride=1, padding=1, bias=False)
            self.bn2 = nn.BatchNorm2d(planes)
            self.shortcut = nn.Sequential()
            if stride != 1 or in_planes != self.expansion * planes:
                self.shortcut = nn.Sequential(
                    nn.Conv2d(in_planes, self.expansion * planes, kernel_size=1, stride=stride, bias=False),
                    nn.BatchNorm2d(self.expansion * planes),
                )

        def forward(self, x):
            out = F.relu(self.bn1(self.conv1(x)))
            out = self.bn2(self.conv2(out))
            out += self.shortcut(x)
            out = F.relu(out)
            return out

    class ResNet(nn.Module):
        def __init__(self, block, num_blocks, num_classes=10):
            super().__init__()
            self.in_planes = 4
            self.conv1 = nn.Conv2d(3, 4, kernel_size=3, stride=1, padding=1, bias=False)
            self.bn1 = nn.BatchNorm2d(4)
            self.layer1 = self._make_layer(block, 4, num_blocks[0], stride=1)
            self.layer2 = self._make_layer(block, 8, num_blocks[1], stride=2)
            self.linear = nn.Linear(8 * block.expansion, num_classes)
            for m in self.modules():
                if isinstance(m, nn.Conv2d):
                    nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
                elif isinstance(m, (nn.BatchNorm2d, nn.GroupNorm)):
                    nn.init.constant_(m.weight, 1)
                    nn.init.constant_(m.bias, 0)

        def _make_layer(self, block, planes, num_blocks, stride):
            strides = [stride] + [1] * (num_blocks - 1)
            layers = []
            for stride in strides:
                layers.append(block(self.in_planes, planes, stride))
                self.in_planes = planes * block.expansion
            return nn.Sequential(*layers)

        def forward(self, x):
            out = F.relu(self.bn1(self.conv1(x)))
            out = self.layer1(out)
            out = self.layer2(out)
            out = F.avg_pool2d(out, out.size()[3])
            out = out.view(out.size(0), -1)
            return self.linear(out)

    device = "cuda" if torch.cuda.is_available() and False else "cpu"
    net = run.start(ResNet(BasicBlock, [1, 2])).to(device)
    if device == "cuda":
        net = nn.DataParallel(net)
    torch.backends.cudnn.benchmark = True
    run.log(sum(p.numel() for p in net.parameters() if p.requires_grad), "parameters")
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=5)
    inputs, targets = run.floats(16, 3, 16, 16).to(device), run.ints(10, 16).to(device)
    net.train()
    train_loss = correct = total = 0
    for _ in range(5):
        optimizer.zero_grad(set_to_none=True)
        outputs = net(inputs)
        loss = criterion(outputs, targets)
        loss.backward()
        optimizer.step()
        scheduler.step()
        train_loss += loss.item()
        _, predicted = outputs.max(1)
        total += targets.size(0)
        correct += predicted.eq(targets).sum().item()
        run.log(loss.item())
    run.log(100.0 * correct / total, "accuracy")
    net.eval()
    with torch.no_grad():
        run.log(criterion(net(inputs), targets).item(), "test loss")
    run.finish(net)


@program
def unet(lib: Any, run: Any) -> None:
    """A U-Net for segmentation: transposed convolutions, skip connections, cropping, a Dice loss and deep supervision."""
    torch, nn, F, optim = lib.torch, lib.nn, lib.F, lib.optim

    class DoubleConv(nn.Module):
        def __init__(self, in_channels, out_channels, mid_channels=None):
            super().__init__()
            if not mid_channels:
                mid_channels = out_channels
            self.double_conv = nn.Sequential(
                nn.Conv2d(in_channels, mid_channels, kernel_size=3, padding=1, bias=False),
                nn.BatchNorm2d(mid_channels),
                nn.ReLU(inplace=True),
                nn.Conv2d(mid_channels, out_channels, kernel_size=3, padding=1, bias=False),
                nn.BatchNorm2d(out_channels),
                nn.ReLU(inplace=True),
            )

        def forward(self, x):
            return self.double_conv(x)

    class Up(nn.Module):
        def __init__(self, in_channels, out_channels, bilinear):
            super().__init__()
            if bilinear:
                self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
                self.conv = DoubleConv(in_channels + out_channels, out_channels, in_channels // 2)
            else:
                self.up = nn.ConvTranspose2d(in_channels, in_channels // 2, kernel_size=2, stride=2)
                self.conv = DoubleConv(in_channels // 2 + out_channels, out_channels)

        def forward(self, x1, x2):
            x1 = self.up(x1)
            diffY = x2.size()[2] - x1.size()[2]
            diffX = x2.size()[3] - x1.size()[3]
            x1 = F.pad(x1, [diffX // 2, diffX - diffX // 2, diffY // 2, diffY - diffY // 2])
            return self.conv(torch.cat([x2, x1], dim=1))

    class UNet(nn.Module):
        def __init__(self, n_channels, n_classes):
            super().__init__()
            self.inc = DoubleConv(n_channels, 4)
            self.down1 = nn.Sequential(nn.MaxPool2d(2), DoubleConv(4, 8))
            self.down2 = nn.Sequential(nn.MaxPool2d(2), DoubleConv(8, 16))
            self.up1 = Up(16, 8, bilinear=False)
            self.up2 = Up(8, 4, bilinear=True)
            self.outc = nn.Conv2d(4, n_classes, kernel_size=1)

        def forward(self, x):
            x1 = self.inc(x)
            x2 = self.down1(x1)
            x3 = self.down2(x2)
            x = self.up1(x3, x2)
            x = self.up2(x, x1)
            return self.outc(x)

    def dice_coeff(input, target, epsilon=1e-6):
        assert input.size() == target.size()
        sum_dim = (-1, -2, -3)
        inter = 2 * (input * target).sum(dim=sum_dim)
        sets_sum = input.sum(dim=sum_dim) + target.sum(dim=sum_dim)
        sets_sum = torch.where(sets_sum == 0, inter, sets_sum)
        return ((inter + epsilon) / (sets_sum + epsilon)).mean()

    model = run.start(UNet(3, 3))
    optimizer = optim.RMSprop(model.parameters(), lr=1e-3, weight_decay=1e-8, momentum=0.9, foreach=True)
    scheduler = optim.lr_scheduler.ReduceLROnPlateau(optimizer, "max", patience=1)
    images, masks = run.floats(2, 3, 18, 14), run.ints(3, 2, 18, 14)
    for _ in range(4):
        pred = model(images)
        loss = nn.CrossEntropyLoss()(pred, masks)
        target = F.one_hot(masks, 3).permute(0, 3, 1, 2).float().to(pred.dtype)
        loss += 1 - dice_coeff(F.softmax(pred, dim=1), target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        run.log(loss.item())
        with torch.inference_mode():
            score = (pred.argmax(dim=1) == masks).float().mean()
        scheduler.step(0.5)
        run.log(score)
        run.log(optimizer.param_groups[0]["lr"], "learning rate")
    run.finish(model)


@program
def transfer_learning(lib: Any, run: Any) -> None:
    """A pretrained network whose features are frozen and whose head is replaced, with different learning rates."""
    torch, nn, F, optim = lib.torch, lib.nn, lib.F, lib.optim

    class VGG(nn.Module):
        def __init__(self, cfg, num_classes=10):
            super().__init__()
            self.features = self.make_layers(cfg)
            self.avgpool = nn.AdaptiveAvgPool2d((2, 2))
            self.classifier = nn.Sequential(
                nn.Linear(8 * 2 * 2, 16),
                nn.ReLU(True),
                nn.Dropout(p=0.0),
                nn.Linear(16, num_classes),
            )

        @staticmethod
        def make_layers(cfg):
            layers = []
            in_channels = 3
            for v in cfg:
                if v == "M":
                    layers += [nn.MaxPool2d(kernel_size=2, stride=2)]
                else:
                    layers += [nn.Conv2d(in_channels, v, kernel_size=3, padding=1), nn.BatchNorm2d(v), nn.ReLU(inplace=True)]
                    in_channels = v
            return nn.Sequential(*layers)

        def forward(self, x):
            x = self.features(x)
            x = self.avgpool(x)
            x = torch.flatten(x, 1)
            return self.classifier(x)

    model = run.start(VGG([4, "M", 8, "M"]))
    for param in model.features.parameters():
        param.requires_grad = False
    num_ftrs = model.classifier[-1].in_features
    model.classifier[3] = run.start(nn.Linear(num_ftrs, 2))
    run.log(repr(model), "print(model)")
    run.log(sum(p.numel() for p in model.parameters()), "parameters")
    run.log(tuple(n for n, p in model.named_parameters() if p.requires_grad), "trainable")
    optimizer = optim.SGD(
        [
            {"params": model.classifier[0].parameters(), "lr": 1e-2},
            {"params": filter(lambda p: p.requires_grad, model.classifier[3].parameters())},
        ],
        lr=5e-2,
        momentum=0.9,
    )
    images, labels = run.floats(6, 3, 16, 16), run.ints(2, 6)
    best_acc, best_model_wts = 0.0, copy.deepcopy(model.state_dict())
    for epoch in range(6):
        for phase in ["train", "val"]:
            if phase == "train":
                model.train()
                for m in model.features.modules():
                    if isinstance(m, nn.BatchNorm2d):
                        m.eval()
            else:
                model.eval()
            optimizer.zero_grad()
            with torch.set_grad_enabled(phase == "train"):
                outputs = model(images)
                _, preds = torch.max(outputs, 1)
                loss = F.cross_entropy(outputs, labels, label_smoothing=0.1)
                if phase == "train":
                    loss.backward()
                    optimizer.step()
            run.log(loss.item() * images.size(0))
            epoch_acc = torch.sum(preds == labels.data).double() / len(images)
            run.log(epoch_acc.item(), "accuracy")
            if phase == "val" and epoch_acc > best_acc:
                best_acc = epoch_acc
                best_model_wts = copy.deepcopy(model.state_dict())
        if epoch == 2:  # unfreeze
            for name, child in model.named_children():
                if name in ["features"]:
                    for p in child.parameters():
                        p.requires_grad_(True)
            optimizer.add_param_group({"params": model.features.parameters(), "lr": 1e-3})
    model.load_state_dict(best_model_wts)
    run.finish(model)


@program
def siamese_triplet(lib: Any, run: Any) -> None:
    """A siamese network with the contrastive loss, then the triplet loss with the hardest negatives of the batch."""
    torch, nn, F, optim = lib.torch, lib.nn, lib.F, lib.optim

    class EmbeddingNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.convnet = nn.Sequential(
                nn.Conv2d(1, 4, 3),
                nn.PReLU(),
                nn.MaxPool2d(2, stride=2),
                nn.Conv2d(4, 6, 3),
                nn.PReLU(),
                nn.MaxPool2d(2, stride=2),
            )
            self.fc = nn.Sequential(nn.Linear(6 * 2 * 2, 8), nn.PReLU(), nn.Linear(8, 4))

        def forward(self, x):
            output = self.convnet(x)
            output = output.view(output.size()[0], -1)
            output = self.fc(output)
            return F.normalize(output, p=2, dim=1)

    class ContrastiveLoss(nn.Module):
        def __init__(self, margin):
            super().__init__()
            self.margin = margin
            self.eps = 1e-9

        def forward(self, output1, output2, target, size_average=True):
            distances = (output2 - output1).pow(2).sum(1)
            losses = 0.5 * (
                target.float() * distances
                + (1 + -1 * target).float() * F.relu(self.margin - (distances + self.eps).sqrt()).pow(2)
            )
            return losses.mean() if size_average else losses.sum()

    model = run.start(EmbeddingNet())
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    a, b, same = run.floats(6, 1, 14, 14), run.floats(6, 1, 14, 14), run.ints(2, 6)
    contrastive = ContrastiveLoss(1.0)
    for _ in range(4):
        optimizer.zero_grad()
        loss = contrastive(model(a), model(b), same)
        loss.backward()
        optimizer.step()
        run.log(loss.item())
    images, labels = torch.cat((a, b)), torch.from_numpy(np.arange(12) % 3)
    triplet = nn.TripletMarginLoss(margin=0.5)
    for _ in range(4):
        optimizer.zero_grad()
        embeddings = model(images)
        with torch.no_grad():
            distance = torch.cdist(embeddings, embeddings)
            alike = labels.unsqueeze(0) == labels.unsqueeze(1)
            hardest_positive = distance.masked_fill(~alike, float("-inf")).argmax(1)
            hardest_negative = distance.masked_fill(alike, float("inf")).argmin(1)
        loss = triplet(embeddings, embeddings[hardest_positive], embeddings.index_select(0, hardest_negative))
        loss.backward()
        optimizer.step()
        run.log(loss.item())
        run.log(F.cosine_similarity(embeddings[0], embeddings[1], dim=0).item(), "similarity")
    run.finish(model)


@program(double=True)  # a bias before a normalisation has no gradient but rounding, which Adam makes large
def averaging_and_mixup(lib: Any, run: Any) -> None:
    """SWA and an EMA made by hand, with mixup, soft targets, random erasing and a learning rate that is warmed up by hand."""
    torch, nn, F, optim = lib.torch, lib.nn, lib.F, lib.optim
    AveragedModel, SWALR, update_bn = lib.swa_utils.AveragedModel, lib.swa_utils.SWALR, lib.swa_utils.update_bn
    model = run.start(
        nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2, padding=1),
            nn.BatchNorm2d(4),
            nn.LeakyReLU(0.2, inplace=True),
            nn.AdaptiveMaxPool2d(2),
            nn.Flatten(),
            nn.Linear(16, 3),
        )
    )
    swa_model = AveragedModel(model)
    ema = {k: v.clone().detach() for k, v in model.state_dict().items()}
    optimizer = optim.AdamW(model.parameters(), lr=1e-2, betas=(0.9, 0.95), weight_decay=0.1)
    swa_scheduler = SWALR(optimizer, anneal_strategy="linear", anneal_epochs=3, swa_lr=0.05)
    images, labels = run.floats(8, 1, 10, 10), run.ints(3, 8)
    for step in range(6):
        for param_group in optimizer.param_groups:
            if step < 3:
                param_group["lr"] = 1e-2 * (step + 1) / 3
        lam = float(run.rng.beta(0.4, 0.4))
        index = torch.from_numpy(run.rng.permutation(8))
        mixed = lam * images + (1 - lam) * images[index, :]
        mixed[:, :, 2:5, 3:6] = 0.0
        y = F.one_hot(labels, num_classes=3).to(mixed.dtype)
        target = lam * y + (1 - lam) * y[index]
        output = model(mixed)
        loss = torch.mean(torch.sum(-target * F.log_softmax(output, dim=-1), dim=-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.log(loss.item())
        if step >= 3:
            swa_model.update_parameters(model)
            swa_scheduler.step()
        with torch.no_grad():
            msd = model.state_dict()
            for k, v in ema.items():
                if v.is_floating_point():
                    v *= 0.9
                    v += (1.0 - 0.9) * msd[k].detach()
        run.log(optimizer.param_groups[-1]["lr"], "learning rate")
    update_bn(lib.DataLoader(lib.TensorDataset(images, labels), batch_size=4), swa_model)
    swa_model.eval()
    with torch.no_grad():
        run.log(F.cross_entropy(swa_model(images), labels).item(), "loss of the average")
    run.finish(swa_model, "swa.")
    run.finish(ema, "ema.")


@program(double=True)  # the bias of the keys has no gradient but rounding too
def vision_transformer(lib: Any, run: Any) -> None:
    """A vision transformer: patches by a strided convolution and by unfold, a class token, learned positions, GELU."""
    torch, nn, F, optim = lib.torch, lib.nn, lib.F, lib.optim

    class Attention(nn.Module):
        def __init__(self, dim, num_heads=2, qkv_bias=True):
            super().__init__()
            self.num_heads = num_heads
            self.scale = (dim // num_heads) ** -0.5
            self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
            self.proj = nn.Linear(dim, dim)

        def forward(self, x):
            B, N, C = x.shape
            qkv = self.qkv(x).reshape(B, N, 3, self.num_heads, C // self.num_heads).permute(2, 0, 3, 1, 4)
            q, k, v = qkv.unbind(0)
            attn = (q @ k.transpose(-2, -1)) * self.scale
            attn = attn.softmax(dim=-1)
            x = (attn @ v).transpose(1, 2).reshape(B, N, C)
            return self.proj(x)

    class Block(nn.Module):
        def __init__(self, dim):
            super().__init__()
            self.norm1 = nn.LayerNorm(dim, eps=1e-6)
            self.attn = Attention(dim)
            self.norm2 = nn.LayerNorm(dim, eps=1e-6)
            self.mlp = nn.Sequential(nn.Linear(dim, 2 * dim), nn.GELU(approximate="tanh"), nn.Linear(2 * dim, dim))
            self.gamma = nn.Parameter(0.1 * torch.ones(dim))

        def forward(self, x):
            x = x + self.gamma * self.attn(self.norm1(x))
            return x + self.mlp(self.norm2(x))

    class ViT(nn.Module):
        def __init__(self, image=8, patch=4, dim=8, depth=2, classes=3):
            super().__init__()
            self.patch = patch
            num_patches = (image // patch) ** 2
            self.patch_embed = nn.Conv2d(3, dim, kernel_size=patch, stride=patch)
            self.linear_embed = nn.Linear(3 * patch * patch, dim)
            self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
            self.pos_embed = nn.Parameter(torch.empty(1, num_patches + 1, dim))
            self.blocks = nn.ModuleList([Block(dim) for _ in range(depth)])
            self.norm = nn.LayerNorm(dim)
            self.head = nn.Linear(dim, classes) if classes > 0 else nn.Identity()
            nn.init.trunc_normal_(self.pos_embed, std=0.02)
            self.apply(self._init_weights)

        def _init_weights(self, m):
            if isinstance(m, nn.Linear):
                nn.init.xavier_uniform_(m.weight)
                if m.bias is not None:
                    nn.init.zeros_(m.bias)

        def forward(self, x):
            patches = F.unfold(x, self.patch, stride=self.patch).transpose(1, 2)
            x = self.patch_embed(x).flatten(2).transpose(1, 2) + self.linear_embed(patches)
            x = torch.cat((self.cls_token.expand(x.shape[0], -1, -1), x), dim=1)
            x = x + self.pos_embed
            for blk in self.blocks:
                x = blk(x)
            return self.head(self.norm(x)[:, 0])

    model = run.start(ViT())
    decay = [p for n, p in model.named_parameters() if p.dim() >= 2]
    no_decay = [p for n, p in model.named_parameters() if p.ndim < 2]
    optimizer = optim.AdamW([{"params": decay, "weight_decay": 0.05}, {"params": no_decay, "weight_decay": 0.0}], lr=1e-2)
    x, y = run.floats(5, 3, 8, 8), run.ints(3, 5)
    for _ in range(6):
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.log(loss.item())
    probs, top = F.softmax(model(x), dim=-1).topk(2, dim=-1)
    run.log(probs, "probabilities")
    run.finish(model)
