"""MotionSqueeze: displacement and confidence of every token, read by convolutions.

Source: Kwon, Kim, Kwak, Cho, MotionSqueeze, ECCV 2020, arXiv 2007.09933.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmaction_emim import ops

from .checks import check_tokens

LAYERS = ((7, 16), (3, 32), (3, 64), (3, None))  # side and channels; the last has the tokens'


class MotionSqueeze(nn.Module):
    """A displacement a token, from its correlation with the next frame, turned into features.

    For a token at x of frame t and each offset p of the window, with z = ReLU(Linear(tokens)):

    - ``s(p) = ReLU(cos(z_t(x), z_t+1(x + p)))``, 0 outside the frame;
    - kernel-soft-argmax, ``d = sum_p softmax_p(g(p) s(p) / temperature) p`` with a Gaussian at the
      best match, ``g(p) = exp(-|p - argmax s|^2 / (2 sigma^2))``;
    - confidence, ``c = max_p s(p)``;
    - ``out = conv(d / radius, c)``: four depthwise-separable convolutions in a frame, 7x7 and three
      of 3x3, of 16, 32, 64 and C channels, ReLU between them.

    The output is the residual branch's. The last frame, which has no next one, repeats the output
    of the frame before.

    From the paper and its released code: all of the formula, the window of 15, sigma of 5 and
    temperature of 0.01. Ours: no batch norm among the convolutions (clips would see each other;
    their inputs are of unit scale, and weights start after He); hence no ReLU inside of one, which
    would cut off displacements to the left and up; none at the end, so that a start at zero can be
    left; and the 64 channels that are matched.

    Args:
        dim: Channels C of the tokens.
        window: Side of the window in tokens; odd, 3 or more. Defaults to 15.
        match_dim: Channels of z. Defaults to 64.
        temperature: Divides the similarities before the softmax; above 0. Defaults to 0.01.
        sigma: Width of the Gaussian, in tokens; above 0. Defaults to 5.
        backend: See :func:`mmaction_emim.ops.cost_volume`. Defaults to ``'auto'``.

    Raises:
        ValueError: An argument is not as above.
    """

    def __init__(
        self,
        dim: int,
        window: int = 15,
        match_dim: int = 64,
        temperature: float = 0.01,
        sigma: float = 5.0,
        backend: str = 'auto',
    ) -> None:
        super().__init__()
        ops.check_window(window, 'MotionSqueeze: window')
        ops.check_choices('mask', backend)
        for name, value in dict(match_dim=match_dim, temperature=temperature, sigma=sigma).items():
            if value <= 0:
                raise ValueError(f'MotionSqueeze: {name} must be above 0, got {value!r}')
        self.window = window
        self.temperature = temperature
        self.sigma = sigma
        self.backend = backend
        self.match = nn.Linear(dim, match_dim)
        layers, channels = [], 3
        for side, out in LAYERS:
            layers += [
                nn.Conv2d(channels, channels, side, padding=side // 2, groups=channels),
                nn.Conv2d(channels, out or dim, 1),
                nn.ReLU(),
            ]
            channels = out
        self.conv = nn.Sequential(*layers[:-1])
        side = torch.arange(window) - window // 2
        offsets = torch.cartesian_prod(side, side).flip(-1).float()  # (w*w, 2), x and y
        self.register_buffer('offsets', offsets, persistent=False)
        self.init_weights()

    def init_weights(self) -> None:
        """Initialize the convolutions (MMEngine calls this after a parent's init_cfg)."""
        for layer in self.conv:
            if isinstance(layer, nn.Conv2d):
                gain = 'relu' if layer.groups > 1 else 'linear'  # what comes is a ReLU's
                nn.init.kaiming_normal_(layer.weight, nonlinearity=gain)
                nn.init.zeros_(layer.bias)

    def start_as_identity(self) -> None:
        """Make the output zero until trained, so that a residual branch adds nothing."""
        nn.init.zeros_(self.conv[-1].weight)
        nn.init.zeros_(self.conv[-1].bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, H, W, C) -> (B, T, H, W, C), any H and W.

        Raises:
            ValueError: ``x`` is not five-dimensional or T is 1: motion needs two frames.
        """
        displacement, confidence = self.motion_field(x)
        field = torch.cat([displacement / (self.window // 2), confidence.unsqueeze(-1)], dim=-1).to(
            x.dtype
        )
        out = self.conv(field.flatten(0, 1).permute(0, 3, 1, 2))  # of (B*(T-1), 3, H, W)
        out = out.permute(0, 2, 3, 1).unflatten(0, field.shape[:2])
        return torch.cat([out, out[:, -1:]], dim=1)

    def motion_field(self, x: Tensor) -> ops.MotionField:
        """Where each token goes by the next frame.

        Args:
            x: Tokens, (B, T, H, W, C).

        Returns:
            Displacement (B, T-1, H, W, 2), x and y in tokens, and confidence (B, T-1, H, W), the
            cosine of the best match, 0 to 1; float32 (float64 stays). Both carry gradients.

        Raises:
            ValueError: As :meth:`forward`.
        """
        check_tokens('MotionSqueeze', x)
        z = F.relu(self.match(x))
        z = F.normalize(z.to(torch.promote_types(z.dtype, torch.float32)), dim=-1, eps=1e-6)
        similarity = F.relu(
            ops.cost_volume(
                z[:, :-1].flatten(0, 1).unsqueeze(1),  # one head
                z[:, 1:].flatten(0, 1).unsqueeze(1),
                z.new_zeros(1, self.window, self.window),
                self.window,
                out_of_frame='mask',
                backend=self.backend,
            )
        )
        similarity = similarity.squeeze(1).unflatten(0, (x.shape[0], -1))  # (B, T-1, H, W, w*w)
        confidence, best = similarity.max(-1)
        offsets = self.offsets.to(similarity.dtype)
        distance = (offsets - offsets[best].unsqueeze(-2)).square().sum(-1)
        gaussian = torch.exp(distance / (-2 * self.sigma**2))
        weight = (gaussian * similarity / self.temperature).softmax(-1)
        return ops.MotionField(weight @ offsets, confidence)

    def extra_repr(self) -> str:
        return f'window={self.window}, temperature={self.temperature}, sigma={self.sigma}'
