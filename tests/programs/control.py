"""Reinforcement learning. The environments are small and made of NumPy; actions are drawn by the run's own numbers, so that
both libraries see the same episodes."""

from __future__ import annotations

import random
from collections import deque, namedtuple
from typing import Any

import numpy as np

from .libraries import program


class Pole:
    """A pole on a cart, after gym's CartPole: (x, speed, angle, turning)."""

    def __init__(self, rng: np.random.Generator):
        self.rng = rng

    def reset(self) -> tuple[np.ndarray, dict]:
        self.state = self.rng.uniform(-0.05, 0.05, 4)
        return self.state, {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        x, v, angle, turning = self.state
        force = 10.0 if action == 1 else -10.0
        push = (force + 0.05 * turning**2 * np.sin(angle)) / 1.1
        turn = (9.8 * np.sin(angle) - np.cos(angle) * push) / (0.5 * (4 / 3 - 0.1 * np.cos(angle) ** 2 / 1.1))
        accelerate = push - 0.05 * turn * np.cos(angle) / 1.1
        self.state = np.array([x + 0.02 * v, v + 0.02 * accelerate, angle + 0.02 * turning, turning + 0.02 * turn])
        return self.state, 1.0, bool(abs(self.state[2]) > 0.2), False, {}


def drawn(rng: np.random.Generator, probs: Any) -> int:
    """An action drawn with numbers that do not depend on the library."""
    chances = np.cumsum(np.asarray(probs.detach().numpy(), dtype=np.float64).reshape(-1))
    return int(min(np.searchsorted(chances, rng.random() * chances[-1]), len(chances) - 1))


@program
def reinforce(lib: Any, run: Any) -> None:
    """REINFORCE, after pytorch/examples/reinforcement_learning."""
    torch, nn, F, optim = lib.torch, lib.nn, lib.F, lib.optim
    Categorical = torch.distributions.Categorical

    class Policy(nn.Module):
        def __init__(self):
            super().__init__()
            self.affine1 = nn.Linear(4, 16)
            self.dropout = nn.Dropout(p=0.0)
            self.affine2 = nn.Linear(16, 2)
            self.saved_log_probs = []
            self.rewards = []

        def forward(self, x):
            x = self.affine1(x)
            x = self.dropout(x)
            x = F.relu(x)
            action_scores = self.affine2(x)
            return F.softmax(action_scores, dim=1)

    env = Pole(run.rng)
    policy = run.start(Policy())
    optimizer = optim.Adam(policy.parameters(), lr=1e-2)
    eps = np.finfo(np.float32).eps.item()

    def select_action(state):
        state = torch.from_numpy(state).float().unsqueeze(0)
        probs = policy(state)
        m = Categorical(probs)
        action = m.sample()
        action = torch.tensor([drawn(run.rng, m.probs)])  # the same in both runs
        policy.saved_log_probs.append(m.log_prob(action))
        return action.item()

    def finish_episode():
        R = 0
        policy_loss = []
        returns = deque()
        for r in policy.rewards[::-1]:
            R = r + 0.99 * R
            returns.appendleft(R)
        returns = torch.tensor(returns)
        returns = (returns - returns.mean()) / (returns.std() + eps)
        for log_prob, R in zip(policy.saved_log_probs, returns):  # noqa: B905
            policy_loss.append(-log_prob * R)
        optimizer.zero_grad()
        policy_loss = torch.cat(policy_loss).sum()
        policy_loss.backward()
        optimizer.step()
        del policy.rewards[:]
        del policy.saved_log_probs[:]
        return policy_loss.item()

    for _ in range(5):
        state, _ = env.reset()
        ep_reward = 0
        for _ in range(1, 30):
            action = select_action(state)
            state, reward, done, _, _ = env.step(action)
            policy.rewards.append(reward)
            ep_reward += reward
            if done:
                break
        run.log(ep_reward, "reward")
        run.log(finish_episode())
    run.finish(policy)


@program
def actor_critic(lib: Any, run: Any) -> None:
    """The actor-critic of pytorch/examples/reinforcement_learning, with an entropy bonus."""
    torch, nn, F, optim = lib.torch, lib.nn, lib.F, lib.optim
    SavedAction = namedtuple("SavedAction", ["log_prob", "value", "entropy"])

    class Policy(nn.Module):
        def __init__(self):
            super().__init__()
            self.affine1 = nn.Linear(4, 16)
            self.action_head = nn.Linear(16, 2)
            self.value_head = nn.Linear(16, 1)
            self.saved_actions = []
            self.rewards = []

        def forward(self, x):
            x = F.relu(self.affine1(x))
            action_prob = F.softmax(self.action_head(x), dim=-1)
            state_values = self.value_head(x)
            return action_prob, state_values

    model = run.start(Policy())
    optimizer = optim.Adam(model.parameters(), lr=3e-2)
    env = Pole(run.rng)
    for _ in range(5):
        state, _ = env.reset()
        for _ in range(30):
            probs, state_value = model(torch.from_numpy(np.asarray(state)).float())
            action = torch.tensor(drawn(run.rng, probs))
            logits = torch.log(probs.clamp(min=1e-6))
            model.saved_actions.append(SavedAction(logits[action], state_value, -(probs * logits).sum(-1)))
            state, reward, done, *_ = env.step(action.item())
            model.rewards.append(reward)
            if done:
                break
        R = 0
        policy_losses, value_losses, returns = [], [], []
        for r in model.rewards[::-1]:
            R = r + 0.99 * R
            returns.insert(0, R)
        returns = torch.tensor(returns)
        returns = (returns - returns.mean()) / (returns.std() + 1e-6)
        for (log_prob, value, _), R in zip(model.saved_actions, returns):  # noqa: B905
            advantage = R - value.item()
            policy_losses.append(-log_prob * advantage)
            value_losses.append(F.smooth_l1_loss(value, torch.tensor([R])))
        optimizer.zero_grad()
        entropy = torch.stack([a.entropy for a in model.saved_actions]).mean()
        loss = torch.stack(policy_losses).sum() + torch.stack(value_losses).sum() - 0.01 * entropy
        loss.backward()
        optimizer.step()
        del model.rewards[:]
        del model.saved_actions[:]
        run.log(loss.item())
    run.finish(model)


@program
def deep_q_learning(lib: Any, run: Any) -> None:
    """The DQN of PyTorch's tutorial: replay memory, target network with soft updates, a dueling head, Huber loss."""
    torch, nn, optim = lib.torch, lib.nn, lib.optim
    Transition = namedtuple("Transition", ("state", "action", "next_state", "reward"))
    chance = random.Random(3)

    class DQN(nn.Module):
        def __init__(self, n_observations, n_actions):
            super().__init__()
            self.layer1 = nn.Linear(n_observations, 16)
            self.value = nn.Linear(16, 1)
            self.advantage = nn.Linear(16, n_actions)

        def forward(self, x):
            x = nn.functional.relu6(self.layer1(x))
            advantage = self.advantage(x)
            return self.value(x) + advantage - advantage.mean(-1, keepdim=True)

    device = torch.device("cuda" if torch.cuda.is_available() and False else "cpu")
    policy_net = run.start(DQN(4, 2)).to(device)
    target_net = DQN(4, 2).to(device)
    target_net.load_state_dict(policy_net.state_dict())
    optimizer = optim.AdamW(policy_net.parameters(), lr=1e-2, amsgrad=True)
    memory = deque([], maxlen=100)
    env = Pole(run.rng)

    def select_action(state):
        if run.rng.random() > 0.3:
            with torch.no_grad():
                return policy_net(state).max(1).indices.view(1, 1)
        return torch.tensor([[int(run.rng.integers(2))]], device=device, dtype=torch.long)

    def optimize_model():
        if len(memory) < 8:
            return
        batch = Transition(*zip(*chance.sample(list(memory), 8), strict=True))
        non_final_mask = torch.tensor(tuple(map(lambda s: s is not None, batch.next_state)), device=device, dtype=torch.bool)
        non_final_next_states = torch.cat([s for s in batch.next_state if s is not None])
        state_batch, action_batch, reward_batch = torch.cat(batch.state), torch.cat(batch.action), torch.cat(batch.reward)
        state_action_values = policy_net(state_batch).gather(1, action_batch)
        next_state_values = torch.zeros(8, device=device)
        with torch.no_grad():
            next_state_values[non_final_mask] = target_net(non_final_next_states).max(1).values
        expected_state_action_values = (next_state_values * 0.99) + reward_batch
        criterion = nn.SmoothL1Loss()
        loss = criterion(state_action_values, expected_state_action_values.unsqueeze(1))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_value_(policy_net.parameters(), 100)
        optimizer.step()
        run.log(loss.item())

    for _ in range(2):
        state, info = env.reset()
        state = torch.tensor(state, dtype=torch.float32, device=device).unsqueeze(0)
        for t in range(12):
            action = select_action(state)
            observation, reward, terminated, truncated, _ = env.step(action.item())
            reward = torch.tensor([reward], device=device)
            done = terminated or truncated or t == 11
            next_state = None if done else torch.tensor(observation, dtype=torch.float32, device=device).unsqueeze(0)
            memory.append(Transition(state, action, next_state, reward))
            state = next_state
            optimize_model()
            target_net_state_dict = target_net.state_dict()
            policy_net_state_dict = policy_net.state_dict()
            for key in policy_net_state_dict:
                target_net_state_dict[key] = policy_net_state_dict[key] * 0.05 + target_net_state_dict[key] * (1 - 0.05)
            target_net.load_state_dict(target_net_state_dict)
            if done:
                break
    run.finish(policy_net)
    run.finish(target_net, "target.")


@program
def proximal_policy(lib: Any, run: Any) -> None:
    """PPO with normal actions after cleanrl: orthogonal layers, advantages by GAE in place, clipped losses, annealed rate."""
    torch, nn, optim = lib.torch, lib.nn, lib.optim
    Normal = torch.distributions.Normal

    def layer_init(layer, std=np.sqrt(2), bias_const=0.0):  # noqa: B008
        torch.nn.init.orthogonal_(layer.weight, std)
        torch.nn.init.constant_(layer.bias, bias_const)
        return layer

    class Agent(nn.Module):
        def __init__(self):
            super().__init__()
            self.critic = nn.Sequential(layer_init(nn.Linear(3, 8)), nn.Tanh(), layer_init(nn.Linear(8, 1), std=1.0))
            self.actor_mean = nn.Sequential(layer_init(nn.Linear(3, 8)), nn.Tanh(), layer_init(nn.Linear(8, 2), std=0.01))
            self.actor_logstd = nn.Parameter(torch.zeros(1, 2))

        def get_value(self, x):
            return self.critic(x)

        def get_action_and_value(self, x, action=None):
            action_mean = self.actor_mean(x)
            action_logstd = self.actor_logstd.expand_as(action_mean)
            action_std = torch.exp(action_logstd)
            probs = Normal(action_mean, action_std)
            if action is None:
                action = probs.sample()
                action = action_mean + action_std * run.floats(*action_mean.shape)  # the same in both runs
            return action, probs.log_prob(action).sum(1), probs.entropy().sum(1), self.critic(x)

    num_steps, num_envs = 6, 2
    agent = run.start(Agent())
    optimizer = optim.Adam(agent.parameters(), lr=3e-3, eps=1e-5)
    obs = torch.zeros((num_steps, num_envs) + (3,))
    actions = torch.zeros((num_steps, num_envs) + (2,))
    logprobs = torch.zeros((num_steps, num_envs))
    rewards = torch.zeros((num_steps, num_envs))
    dones = torch.zeros((num_steps, num_envs))
    values = torch.zeros((num_steps, num_envs))
    next_obs, next_done = run.floats(num_envs, 3), torch.zeros(num_envs)
    for iteration in range(1, 4):
        frac = 1.0 - (iteration - 1.0) / 3
        optimizer.param_groups[0]["lr"] = frac * 3e-3
        for step in range(0, num_steps):
            obs[step] = next_obs
            dones[step] = next_done
            with torch.no_grad():
                action, logprob, _, value = agent.get_action_and_value(next_obs)
                values[step] = value.flatten()
            actions[step] = action
            logprobs[step] = logprob
            reward = -np.abs(action.cpu().numpy()).sum(-1)
            rewards[step] = torch.tensor(reward).view(-1)
            next_obs = torch.Tensor(run.rng.standard_normal((num_envs, 3)).astype(np.float32))
            next_done = torch.Tensor([0.0, float(step == 3)])
        with torch.no_grad():
            next_value = agent.get_value(next_obs).reshape(1, -1)
            advantages = torch.zeros_like(rewards)
            lastgaelam = 0
            for t in reversed(range(num_steps)):
                if t == num_steps - 1:
                    nextnonterminal, nextvalues = 1.0 - next_done, next_value
                else:
                    nextnonterminal, nextvalues = 1.0 - dones[t + 1], values[t + 1]
                delta = rewards[t] + 0.99 * nextvalues * nextnonterminal - values[t]
                advantages[t] = lastgaelam = delta + 0.99 * 0.95 * nextnonterminal * lastgaelam
            returns = advantages + values
        b_obs = obs.reshape((-1,) + (3,))
        b_logprobs, b_actions = logprobs.reshape(-1), actions.reshape((-1,) + (2,))
        b_advantages, b_returns, b_values = advantages.reshape(-1), returns.reshape(-1), values.reshape(-1)
        b_inds = np.arange(num_steps * num_envs)
        run.rng.shuffle(b_inds)
        for start in range(0, num_steps * num_envs, 6):
            mb_inds = b_inds[start : start + 6]
            _, newlogprob, entropy, newvalue = agent.get_action_and_value(b_obs[mb_inds], b_actions[mb_inds])
            logratio = newlogprob - b_logprobs[mb_inds]
            ratio = logratio.exp()
            with torch.no_grad():
                approx_kl = ((ratio - 1) - logratio).mean()
                clipfrac = ((ratio - 1.0).abs() > 0.2).float().mean().item()
            mb_advantages = b_advantages[mb_inds]
            mb_advantages = (mb_advantages - mb_advantages.mean()) / (mb_advantages.std() + 1e-8)
            pg_loss1 = -mb_advantages * ratio
            pg_loss2 = -mb_advantages * torch.clamp(ratio, 1 - 0.2, 1 + 0.2)
            pg_loss = torch.max(pg_loss1, pg_loss2).mean()
            newvalue = newvalue.view(-1)
            v_loss_unclipped = (newvalue - b_returns[mb_inds]) ** 2
            v_clipped = b_values[mb_inds] + torch.clamp(newvalue - b_values[mb_inds], -0.2, 0.2)
            v_loss = 0.5 * torch.max(v_loss_unclipped, (v_clipped - b_returns[mb_inds]) ** 2).mean()
            loss = pg_loss - 0.01 * entropy.mean() + v_loss * 0.5
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
            optimizer.step()
            run.log(loss.item())
            run.log(clipfrac + approx_kl.item(), "clipped and divergence")
        y_pred, y_true = b_values.cpu().numpy(), b_returns.cpu().numpy()
        run.log(float(1 - np.var(y_true - y_pred) / np.var(y_true)), "explained variance")
    run.finish(agent)
