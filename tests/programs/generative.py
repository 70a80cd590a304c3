"""Networks that generate: autoencoders, adversarial networks, flows and diffusion."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .libraries import program


@program
def vae(lib: Any, run: Any) -> None:
    """The variational autoencoder of pytorch/examples/vae."""
    torch, nn, F, optim = lib.torch, lib.nn, lib.F, lib.optim

    class VAE(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1 = nn.Linear(64, 20)
            self.fc21 = nn.Linear(20, 4)
            self.fc22 = nn.Linear(20, 4)
            self.fc3 = nn.Linear(4, 20)
            self.fc4 = nn.Linear(20, 64)

        def encode(self, x):
            h1 = F.relu(self.fc1(x))
            return self.fc21(h1), self.fc22(h1)

        def reparameterize(self, mu, logvar):
            std = torch.exp(0.5 * logvar)
            eps = torch.randn_like(std)
            eps = run.floats(*eps.shape)  # the same numbers in both runs
            return mu + eps * std

        def decode(self, z):
            h3 = F.relu(self.fc3(z))
            return torch.sigmoid(self.fc4(h3))

        def forward(self, x):
            mu, logvar = self.encode(x.view(-1, 64))
            z = self.reparameterize(mu, logvar)
            return self.decode(z), mu, logvar

    def loss_function(recon_x, x, mu, logvar):
        BCE = F.binary_cross_entropy(recon_x, x.view(-1, 64), reduction="sum")
        KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
        return BCE + KLD

    device = torch.device("cpu")
    model = run.start(VAE()).to(device)
    optimizer = optim.Adam(model.parameters(), lr=1e-2)
    loader = lib.DataLoader(lib.TensorDataset(run.uniform(16, 1, 8, 8), run.ints(10, 16)), batch_size=8, shuffle=False)
    model.train()
    train_loss = 0
    for _ in range(4):
        for data, _ in loader:
            data = data.to(device)
            optimizer.zero_grad()
            recon_batch, mu, logvar = model(data)
            loss = loss_function(recon_batch, data, mu, logvar)
            loss.backward()
            train_loss += loss.item()
            optimizer.step()
            run.log(loss.item() / len(data))
    model.eval()
    with torch.no_grad():
        sample = run.floats(4, 4).to(device)
        sample = model.decode(sample).cpu()
        n = min(data.size(0), 2)
        comparison = torch.cat([data[:n], recon_batch.view(8, 1, 8, 8)[:n]])
        run.log(sample.view(4, 1, 8, 8), "sample")
        run.log(comparison, "comparison")
    run.finish(model)


@program(tolerance=1e-3)
def dcgan(lib: Any, run: Any) -> None:
    """The DCGAN of pytorch/examples/dcgan."""
    torch, nn, optim = lib.torch, lib.nn, lib.optim
    nz, ngf, ndf, nc = 6, 4, 4, 1

    def weights_init(m):
        classname = m.__class__.__name__
        if classname.find("Conv") != -1:
            torch.nn.init.normal_(m.weight, 0.0, 0.02)
        elif classname.find("BatchNorm") != -1:
            torch.nn.init.normal_(m.weight, 1.0, 0.02)
            torch.nn.init.zeros_(m.bias)

    class Generator(nn.Module):
        def __init__(self, ngpu):
            super().__init__()
            self.ngpu = ngpu
            self.main = nn.Sequential(
                nn.ConvTranspose2d(nz, ngf * 2, 4, 1, 0, bias=False),
                nn.BatchNorm2d(ngf * 2),
                nn.ReLU(True),
                nn.ConvTranspose2d(ngf * 2, ngf, 4, 2, 1, bias=False),
                nn.BatchNorm2d(ngf),
                nn.ReLU(True),
                nn.ConvTranspose2d(ngf, nc, 4, 2, 1, bias=False),
                nn.Tanh(),
            )

        def forward(self, input):
            if input.is_cuda and self.ngpu > 1:
                return nn.parallel.data_parallel(self.main, input, range(self.ngpu))
            return self.main(input)

    class Discriminator(nn.Module):
        def __init__(self):
            super().__init__()
            self.main = nn.Sequential(
                nn.Conv2d(nc, ndf, 4, 2, 1, bias=False),
                nn.LeakyReLU(0.2, inplace=True),
                nn.Conv2d(ndf, ndf * 2, 4, 2, 1, bias=False),
                nn.BatchNorm2d(ndf * 2),
                nn.LeakyReLU(0.2, inplace=True),
                nn.Conv2d(ndf * 2, 1, 4, 1, 0, bias=False),
                nn.Sigmoid(),
            )

        def forward(self, input):
            return self.main(input).view(-1, 1).squeeze(1)

    device = torch.device("cpu")
    netG = Generator(1).to(device)
    netG.apply(weights_init)
    netD = Discriminator().to(device)
    netD.apply(weights_init)
    run.start(netG)
    run.start(netD)
    criterion = nn.BCELoss()
    real_label, fake_label = 1, 0
    optimizerD = optim.Adam(netD.parameters(), lr=0.0002, betas=(0.5, 0.999))
    optimizerG = optim.Adam(netG.parameters(), lr=0.0002, betas=(0.5, 0.999))
    real_cpu = run.floats(4, nc, 16, 16).clamp(-1, 1)
    for _ in range(5):
        netD.zero_grad()
        batch_size = real_cpu.size(0)
        label = torch.full((batch_size,), real_label, dtype=real_cpu.dtype, device=device)
        output = netD(real_cpu)
        errD_real = criterion(output, label)
        errD_real.backward()
        D_x = output.mean().item()
        noise = run.floats(batch_size, nz, 1, 1)
        fake = netG(noise)
        label.fill_(fake_label)
        output = netD(fake.detach())
        errD_fake = criterion(output, label)
        errD_fake.backward()
        errD = errD_real + errD_fake
        optimizerD.step()
        netG.zero_grad()
        label.fill_(real_label)
        output = netD(fake)
        errG = criterion(output, label)
        errG.backward()
        optimizerG.step()
        run.log(errD.item(), "Loss_D")
        run.log(errG.item(), "Loss_G")
        run.log(D_x, "D(x)")
    run.finish(netG, "G.")
    run.finish(netD, "D.")


@program(double=True)
def spectral_norm_gan(lib: Any, run: Any) -> None:
    """A GAN with spectral normalisation, the hinge loss, conditional batch normalisation and self attention."""
    torch, nn, F, optim = lib.torch, lib.nn, lib.F, lib.optim
    spectral_norm = lib.parametrizations.spectral_norm

    class ConditionalBatchNorm2d(nn.Module):
        def __init__(self, num_features, num_classes):
            super().__init__()
            self.num_features = num_features
            self.bn = nn.BatchNorm2d(num_features, affine=False)
            self.embed = nn.Embedding(num_classes, num_features * 2)
            self.embed.weight.data[:, :num_features].normal_(1, 0.02)
            self.embed.weight.data[:, num_features:].zero_()

        def forward(self, x, y):
            out = self.bn(x)
            gamma, beta = self.embed(y).chunk(2, 1)
            return gamma.view(-1, self.num_features, 1, 1) * out + beta.view(-1, self.num_features, 1, 1)

    class SelfAttention(nn.Module):
        def __init__(self, in_dim):
            super().__init__()
            self.query_conv = nn.Conv2d(in_dim, in_dim // 2, kernel_size=1)
            self.value_conv = nn.Conv2d(in_dim, in_dim, kernel_size=1)
            self.gamma = nn.Parameter(torch.zeros(1) + 0.1)

        def forward(self, x):
            m_batchsize, C, width, height = x.size()
            proj_query = self.query_conv(x).view(m_batchsize, -1, width * height).permute(0, 2, 1)
            energy = torch.bmm(proj_query, proj_query.transpose(1, 2))
            attention = F.softmax(energy, dim=-1)
            proj_value = self.value_conv(x).view(m_batchsize, -1, width * height)
            out = torch.bmm(proj_value, attention.permute(0, 2, 1))
            return self.gamma * out.view(m_batchsize, C, width, height) + x

    class Generator(nn.Module):
        def __init__(self):
            super().__init__()
            self.dense = nn.Linear(4, 4 * 3 * 3)
            self.bn = ConditionalBatchNorm2d(4, 3)
            self.attend = SelfAttention(4)
            self.conv = nn.Conv2d(4, 1, 3, padding=1, padding_mode="reflect")

        def forward(self, z, y):
            h = self.dense(z).view(-1, 4, 3, 3)
            h = F.interpolate(F.relu(self.bn(h, y)), scale_factor=2, mode="nearest")
            return torch.tanh(self.conv(self.attend(h)))

    class Discriminator(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = spectral_norm(nn.Conv2d(1, 4, 3, stride=2, padding=1))
            self.conv2 = spectral_norm(nn.Conv2d(4, 6, 3, stride=1, padding=1))
            self.fc = spectral_norm(nn.Linear(6, 1))
            self.embed = nn.utils.parametrizations.weight_norm(nn.Linear(3, 6, bias=False))

        def forward(self, x, y):
            m = nn.LeakyReLU(0.1)(self.conv1(x))
            m = F.elu(self.conv2(m))
            m = m.sum(dim=(2, 3))
            label = F.one_hot(y, 3).to(x)
            return self.fc(m) + torch.sum(self.embed(label) * m, dim=1, keepdim=True)

    generator, discriminator = run.start(Generator()), run.start(Discriminator())
    optim_disc = optim.Adam(filter(lambda p: p.requires_grad, discriminator.parameters()), lr=2e-3, betas=(0.0, 0.9))
    optim_gen = optim.Adam(generator.parameters(), lr=2e-3, betas=(0.0, 0.9))
    scheduler_d = optim.lr_scheduler.ExponentialLR(optim_disc, gamma=0.99)
    data, labels = run.floats(4, 1, 6, 6), run.ints(3, 4)
    for _ in range(4):
        for _ in range(2):
            z = run.floats(4, 4)
            optim_disc.zero_grad()
            fake = generator(z, labels).detach()
            disc_loss = F.relu(1.0 - discriminator(data, labels)).mean() + F.relu(1.0 + discriminator(fake, labels)).mean()
            disc_loss.backward()
            optim_disc.step()
        for p in discriminator.parameters():
            p.requires_grad_(False)
        optim_gen.zero_grad()
        gen_loss = -discriminator(generator(run.floats(4, 4), labels), labels).mean()
        gen_loss.backward()
        optim_gen.step()
        for p in discriminator.parameters():
            p.requires_grad_(True)
        scheduler_d.step()
        run.log(disc_loss.item(), "disc loss")
        run.log(gen_loss.item(), "gen loss")
    run.finish(generator, "G.")
    run.finish(discriminator, "D.")


@program(double=True)
def wgan_gp(lib: Any, run: Any) -> None:
    """A Wasserstein GAN with a gradient penalty, after eriklindernoren/PyTorch-GAN: double backward through convolutions."""
    torch, nn, optim, autograd = lib.torch, lib.nn, lib.optim, lib.torch.autograd
    img_shape = (1, 6, 6)

    class Generator(nn.Module):
        def __init__(self):
            super().__init__()

            def block(in_feat, out_feat, normalize=True):
                layers = [nn.Linear(in_feat, out_feat)]
                if normalize:
                    layers.append(nn.BatchNorm1d(out_feat, 0.8))
                layers.append(nn.LeakyReLU(0.2, inplace=True))
                return layers

            self.model = nn.Sequential(
                *block(5, 8, normalize=False), *block(8, 12), nn.Linear(12, int(np.prod(img_shape))), nn.Tanh()
            )

        def forward(self, z):
            img = self.model(z)
            return img.view(img.shape[0], *img_shape)

    class Discriminator(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Sequential(nn.Conv2d(1, 3, 3, 2, 1), nn.InstanceNorm2d(3, affine=True), nn.LeakyReLU(0.2))
            self.model = nn.Sequential(nn.Linear(27, 8), nn.LayerNorm(8), nn.SiLU(inplace=True), nn.Linear(8, 1))

        def forward(self, img):
            h = self.conv(img)
            return self.model(h.view(img.shape[0], -1))

    def compute_gradient_penalty(D, real_samples, fake_samples):
        alpha = run.uniform(real_samples.size(0), 1, 1, 1)
        interpolates = (alpha * real_samples + ((1 - alpha) * fake_samples)).requires_grad_(True)
        d_interpolates = D(interpolates)
        fake = torch.ones(real_samples.shape[0], 1, requires_grad=False)
        gradients = autograd.grad(
            outputs=d_interpolates,
            inputs=interpolates,
            grad_outputs=fake,
            create_graph=True,
            retain_graph=True,
            only_inputs=True,
        )[0]
        gradients = gradients.view(gradients.size(0), -1)
        return ((gradients.norm(2, dim=1) - 1) ** 2).mean()

    generator, discriminator = run.start(Generator()), run.start(Discriminator())
    optimizer_G = optim.Adam(generator.parameters(), lr=2e-3, betas=(0.5, 0.999))
    optimizer_D = optim.RMSprop(discriminator.parameters(), lr=2e-3)
    real_imgs = run.floats(6, *img_shape)
    for i in range(6):
        optimizer_D.zero_grad()
        z = run.floats(6, 5)
        fake_imgs = generator(z)
        real_validity, fake_validity = discriminator(real_imgs), discriminator(fake_imgs)
        gradient_penalty = compute_gradient_penalty(discriminator, real_imgs.data, fake_imgs.data)
        d_loss = -torch.mean(real_validity) + torch.mean(fake_validity) + 10 * gradient_penalty
        d_loss.backward()
        optimizer_D.step()
        run.log(d_loss.item(), "D loss")
        optimizer_G.zero_grad()
        if i % 2 == 0:
            g_loss = -torch.mean(discriminator(generator(z)))
            g_loss.backward()
            optimizer_G.step()
            run.log(g_loss.item(), "G loss")
    run.finish(generator, "G.")
    run.finish(discriminator, "D.")


@program(double=True)
def realnvp(lib: Any, run: Any) -> None:
    """A normalising flow with affine coupling layers and alternating masks, and an invertible linear layer."""
    torch, nn, optim = lib.torch, lib.nn, lib.optim

    class RealNVP(nn.Module):
        def __init__(self, nets, nett, mask, dim):
            super().__init__()
            self.dim = dim
            self.mask = nn.Parameter(mask, requires_grad=False)
            self.t = torch.nn.ModuleList([nett() for _ in range(len(mask))])
            self.s = torch.nn.ModuleList([nets() for _ in range(len(mask))])
            self.log_scale = nn.ParameterList([nn.Parameter(torch.zeros(dim)) for _ in range(len(mask))])

        def g(self, z):
            x = z
            for i in range(len(self.t)):
                x_ = x * self.mask[i]
                s = self.s[i](x_) * (1 - self.mask[i])
                t = self.t[i](x_) * (1 - self.mask[i])
                x = x_ + (1 - self.mask[i]) * (x * torch.exp(s) + t)
                x = x * torch.exp(self.log_scale[i])
            return x

        def f(self, x):
            log_det_J, z = x.new_zeros(x.shape[0]), x
            for i in reversed(range(len(self.t))):
                z = z * torch.exp(-self.log_scale[i])
                z_ = self.mask[i] * z
                s = self.s[i](z_) * (1 - self.mask[i])
                t = self.t[i](z_) * (1 - self.mask[i])
                z = (1 - self.mask[i]) * (z - t) * torch.exp(-s) + z_
                log_det_J -= s.sum(dim=1)
                log_det_J -= self.log_scale[i].sum()
            return z, log_det_J

        def log_prob(self, x):
            z, logp = self.f(x)
            prior = -0.5 * (z**2).sum(1) - 0.5 * self.dim * math.log(2 * math.pi)
            return prior + logp

    masks = torch.from_numpy(np.array([[0, 1], [1, 0]] * 2).astype(np.float64)).to(torch.get_default_dtype())
    flow = run.start(
        RealNVP(
            lambda: nn.Sequential(nn.Linear(2, 8), nn.LeakyReLU(), nn.Linear(8, 2), nn.Tanh()),
            lambda: nn.Sequential(nn.Linear(2, 8), nn.Softplus(), nn.Linear(8, 2)),
            masks,
            2,
        )
    )
    optimizer = torch.optim.Adam([p for p in flow.parameters() if p.requires_grad is True], lr=1e-2)
    warmup = optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 3))
    theta = run.uniform(32) * math.pi
    x = torch.stack([torch.cos(theta), torch.sin(theta)], dim=-1) + 0.05 * run.floats(32, 2)
    for _ in range(8):
        loss = -flow.log_prob(x).mean()
        optimizer.zero_grad()
        loss.backward(retain_graph=True)
        optimizer.step()
        warmup.step()
        run.log(loss.item())
    with torch.no_grad():
        z, _ = flow.f(x)
        run.log(torch.allclose(flow.g(z), x, atol=1e-6), "invertible")
    run.finish(flow)


@program(double=True)
def diffusion(lib: Any, run: Any) -> None:
    """Denoising diffusion: a schedule of noise in buffers, embeddings of time, gather of coefficients, an EMA, sampling."""
    torch, nn, F, optim = lib.torch, lib.nn, lib.F, lib.optim

    class SinusoidalPosEmb(nn.Module):
        def __init__(self, dim):
            super().__init__()
            self.dim = dim

        def forward(self, x):
            device = x.device
            half_dim = self.dim // 2
            emb = math.log(10000) / (half_dim - 1)
            emb = torch.exp(torch.arange(half_dim, device=device) * -emb)
            emb = x[:, None] * emb[None, :]
            return torch.cat((emb.sin(), emb.cos()), dim=-1)

    class Denoiser(nn.Module):
        def __init__(self, channels=8):
            super().__init__()
            self.time_mlp = nn.Sequential(SinusoidalPosEmb(channels), nn.Linear(channels, channels), nn.Mish())
            self.init_conv = nn.Conv2d(1, channels, 3, padding="same")
            self.norm = nn.GroupNorm(2, channels)
            self.mid = nn.Conv2d(channels, channels, 3, padding=1, groups=2)
            self.final = nn.Conv2d(channels, 1, 1)
            nn.init.zeros_(self.final.bias)

        def forward(self, x, time):
            t = self.time_mlp(time)
            h = self.init_conv(x)
            h = F.silu(self.norm(h)) + t[:, :, None, None]
            return self.final(F.silu(self.mid(h)) + h)

    def extract(a, t, x_shape):
        b, *_ = t.shape
        out = a.gather(-1, t)
        return out.reshape(b, *((1,) * (len(x_shape) - 1)))

    class GaussianDiffusion(nn.Module):
        def __init__(self, model, timesteps=10):
            super().__init__()
            self.model = model
            self.num_timesteps = int(timesteps)
            betas = torch.linspace(1e-3, 0.2, timesteps)
            alphas = 1.0 - betas
            alphas_cumprod = torch.cumprod(alphas, dim=0)
            self.register_buffer("betas", betas)
            self.register_buffer("alphas_cumprod", alphas_cumprod)
            self.register_buffer("alphas_cumprod_prev", F.pad(alphas_cumprod[:-1], (1, 0), value=1.0), persistent=False)
            self.register_buffer("sqrt_alphas_cumprod", torch.sqrt(alphas_cumprod))
            self.register_buffer("sqrt_one_minus_alphas_cumprod", (1.0 - alphas_cumprod).sqrt())

        def q_sample(self, x_start, t, noise):
            return (
                extract(self.sqrt_alphas_cumprod, t, x_start.shape) * x_start
                + extract(self.sqrt_one_minus_alphas_cumprod, t, x_start.shape) * noise
            )

        def forward(self, img):
            b = img.shape[0]
            t, noise = run.ints(self.num_timesteps, b).long(), run.floats(*img.shape)
            out = self.model(self.q_sample(x_start=img, t=t, noise=noise), t)
            loss = F.mse_loss(out, noise, reduction="none")
            loss = loss.flatten(1).mean(dim=1)
            snr = self.alphas_cumprod / (1 - self.alphas_cumprod)
            return (loss * snr.clamp(max=5.0)[t]).mean()

        @torch.no_grad()
        def sample(self, shape):
            img = run.floats(*shape)
            for i in reversed(range(0, self.num_timesteps)):
                t = torch.full((shape[0],), i, device=self.betas.device, dtype=torch.long)
                eps = self.model(img, t)
                mean = (img - extract(self.betas, t, shape) / extract(self.sqrt_one_minus_alphas_cumprod, t, shape) * eps) / (
                    extract(1.0 - self.betas, t, shape) ** 0.5
                )
                noise = run.floats(*shape) if i > 0 else torch.zeros_like(img)
                img = mean + extract(self.betas, t, shape).sqrt() * noise
            return img.clamp_(-1.0, 1.0)

    diffusion = run.start(GaussianDiffusion(Denoiser()))
    optimizer = optim.RAdam(diffusion.parameters(), lr=1e-2)
    image = run.floats(4, 1, 6, 6).clamp(-1, 1)
    for _ in range(6):
        loss = diffusion(image)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.log(loss.item())
    diffusion.eval()
    run.log(diffusion.sample((2, 1, 6, 6)), "sample")
    run.finish(diffusion)


@program
def vq_vae(lib: Any, run: Any) -> None:
    """A vector quantised autoencoder: distances by hand, one-hot by scatter, straight-through gradients, a masked convolution."""
    torch, nn, F, optim = lib.torch, lib.nn, lib.F, lib.optim

    class VectorQuantizer(nn.Module):
        def __init__(self, num_embeddings, embedding_dim, commitment_cost):
            super().__init__()
            self._embedding_dim = embedding_dim
            self._num_embeddings = num_embeddings
            self._embedding = nn.Embedding(self._num_embeddings, self._embedding_dim)
            self._embedding.weight.data.uniform_(-1 / self._num_embeddings, 1 / self._num_embeddings)
            self._commitment_cost = commitment_cost

        def forward(self, inputs):
            inputs = inputs.permute(0, 2, 3, 1).contiguous()
            input_shape = inputs.shape
            flat_input = inputs.view(-1, self._embedding_dim)
            distances = (
                torch.sum(flat_input**2, dim=1, keepdim=True)
                + torch.sum(self._embedding.weight**2, dim=1)
                - 2 * torch.matmul(flat_input, self._embedding.weight.t())
            )
            encoding_indices = torch.argmin(distances, dim=1).unsqueeze(1)
            encodings = torch.zeros(encoding_indices.shape[0], self._num_embeddings, device=inputs.device)
            encodings.scatter_(1, encoding_indices, 1)
            quantized = torch.matmul(encodings, self._embedding.weight).view(input_shape)
            e_latent_loss = F.mse_loss(quantized.detach(), inputs)
            q_latent_loss = F.mse_loss(quantized, inputs.detach())
            loss = q_latent_loss + self._commitment_cost * e_latent_loss
            quantized = inputs + (quantized - inputs).detach()
            avg_probs = torch.mean(encodings, dim=0)
            perplexity = torch.exp(-torch.sum(avg_probs * torch.log(avg_probs + 1e-10)))
            return loss, quantized.permute(0, 3, 1, 2).contiguous(), perplexity, encodings

    class MaskedConv2d(nn.Conv2d):
        def __init__(self, mask_type, *args, **kwargs):
            super().__init__(*args, **kwargs)
            assert mask_type in {"A", "B"}
            self.register_buffer("mask", self.weight.data.clone())
            _, _, kH, kW = self.weight.size()
            self.mask.fill_(1)
            self.mask[:, :, kH // 2, kW // 2 + (mask_type == "B") :] = 0
            self.mask[:, :, kH // 2 + 1 :] = 0

        def forward(self, x):
            self.weight.data *= self.mask
            return super().forward(x)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Sequential(nn.Conv2d(1, 4, 4, stride=2, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 1))
            self.vq = VectorQuantizer(5, 3, 0.25)
            self.decoder = nn.Sequential(
                MaskedConv2d("B", 3, 8, 3, 1, 1, bias=False), nn.Hardswish(), nn.PixelShuffle(2), nn.Conv2d(2, 1, 3, padding=1)
            )

        def forward(self, x):
            loss, quantized, perplexity, _ = self.vq(self.encoder(x))
            return loss, self.decoder(quantized), perplexity

    model = run.start(Model())
    optimizer = optim.Adam(model.parameters(), lr=1e-2, amsgrad=True)
    data = run.floats(4, 1, 8, 8)
    data_variance = np.var(data.numpy())
    for _ in range(6):
        optimizer.zero_grad()
        vq_loss, data_recon, perplexity = model(data)
        recon_error = F.mse_loss(data_recon, data) / float(data_variance)
        loss = recon_error + vq_loss
        loss.backward()
        optimizer.step()
        run.log(recon_error.item())
        run.log(perplexity.item(), "perplexity")
    run.finish(model)
