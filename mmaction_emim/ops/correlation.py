"""Products of two feature maps at every displacement of a patch: FlowNet's correlation layer.

``out[n, i, j, y, x] = sum over c, u, v of input1[n, c, y', x'] * input2[n, c, y' + i', x' + j']``
with ``y' = y * stride - padding + u * dilation``, ``i' = (i - (patch_size - 1) // 2) *
dilation_patch``, the same for x' and j', (u, v) in the kernel, and 0 outside the frame.

Source: Dosovitskiy et al., FlowNet, ICCV 2015, arXiv 1504.06852. Arguments, results and defaults
are those of the extension ``spatial-correlation-sampler``, which has to be compiled; this has not.
For an even ``patch_size`` and a larger ``dilation_patch`` its CUDA forward displaces by
``dilation_patch * (patch_size - 1) // 2``; the formula here is that of its CPU code and gradients.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .backends import at_least_float32, check_backend, choose_backend
from .correlation_rows import correlate_rows
from .registration import local_attention

Pair = int | tuple[int, int]
MOST_BY_ROWS = 15  # side of a patch


def spatial_correlation_sample(
    input1: Tensor,
    input2: Tensor,
    kernel_size: Pair = 1,
    patch_size: Pair = 1,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    dilation_patch: Pair = 1,
    *,
    backend: str = 'auto',
) -> Tensor:
    """Correlation of patches around each place of ``input1`` with displaced ones of ``input2``.

    In place of ``spatial_correlation_sampler.spatial_correlation_sample``. Each size is an int or
    two, the vertical one first. Sums, no means: divide by the channels yourself.

    Args:
        input1: Features, (B, C, H, W), floating point.
        input2: The same shape, dtype and device.
        kernel_size: Side of the patches that are compared. Defaults to 1.
        patch_size: Number of displacements; of an even number the larger half is positive.
            Defaults to 1.
        stride: Step of the output's places. Defaults to 1.
        padding: Zeros around both maps. Defaults to 0.
        dilation: Step inside the kernel; nothing to a kernel of 1. Defaults to 1.
        dilation_patch: Step of the displacements. Defaults to 1.
        backend: See :func:`mmaction_emim.ops.cost_volume`. The fast ones serve a stride of 1 or a
            larger kernel, with a patch of one odd side of 3 or more and one step of displacements;
            on CPUs ``'auto'`` is fast for other patches and steps, too. Otherwise it is plain
            torch, as ``'reference'`` always is. Gradients of the fast ones are first order.

    Returns:
        (B, patch height, patch width, output height, output width) in the dtype of ``input1``; sums
        are in float32 where that is half precision. The output's size is
        ``(H + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1``.

    Raises:
        ValueError: An argument is not as above, the kernel is larger than the padded frame, or the
            backend does not serve these arguments.
    """
    check_backend(backend)
    kernel, patch = _pair('kernel_size', kernel_size), _pair('patch_size', patch_size)
    step, stride = _pair('dilation_patch', dilation_patch), _pair('stride', stride)
    padding, dilation = _pair('padding', padding, least=0), _pair('dilation', dilation)
    _check_maps(input1, input2)
    for side, k, by, p in zip(input1.shape[2:], kernel, dilation, padding, strict=True):
        if by * (k - 1) + 1 > side + 2 * p:
            raise ValueError(
                f'kernel_size: {kernel} with dilation {dilation} is larger than the padded frame, '
                f'{tuple(input1.shape[2:])} with padding {padding}'
            )
    single = kernel == (1, 1)
    why_plain = _why_plain(patch, step, stride if single else (1, 1))
    if backend == 'tiled':
        why_plain = 'serves attention alone'
    if why_plain and backend not in ('auto', 'reference'):
        raise ValueError(f'backend: {backend!r} {why_plain}; use auto')
    if backend != 'reference' and not why_plain:
        backend = choose_backend(backend, input1.movedim(1, -1), patch[0])
    with torch.autocast(input1.device.type, enabled=False):
        if single and stride != (1, 1):
            out = _offset_by_offset(input1, input2, patch, stride, padding, step)
        else:
            if backend != 'reference' and _by_rows(input1, patch, why_plain):
                out = correlate_rows(*at_least_float32(input1, input2), patch, step)
            elif backend == 'reference' or why_plain:
                out = _offset_by_offset(input1, input2, patch, (1, 1), (0, 0), step)
            else:
                out = _by_operator(input1, input2, patch[0], step[0], backend)
            if single:
                out = F.pad(out, (padding[1], padding[1], padding[0], padding[0]))
            else:
                out = _sum_over_kernel(out, kernel, stride, padding, dilation)
        return out.to(input1.dtype).contiguous()


def _why_plain(patch: tuple[int, int], step: tuple[int, int], stride: tuple[int, int]) -> str:
    """Why no operator serves, or nothing."""
    if stride != (1, 1):
        return f'takes a stride of 1 with kernel_size=1, got {stride}'
    if patch[0] != patch[1] or patch[0] < 3 or patch[0] % 2 == 0:
        return f'takes patches of one odd side of 3 or more, got {patch}'
    if step[0] != step[1]:
        return f'takes one step of displacements, got dilation_patch={step}'
    return ''


def _by_rows(a: Tensor, patch: tuple[int, int], why_plain: str) -> bool:
    """Whether products of rows are the fastest way: measured on CPUs alone.

    Tiles of the operator, where it serves, are faster for 21 x 21; single products for a column.
    """
    return a.device.type == 'cpu' and patch[1] > 2 and (bool(why_plain) or patch[1] <= MOST_BY_ROWS)


def _by_operator(a: Tensor, b: Tensor, patch: int, step: int, backend: str) -> Tensor:
    """Every ``step``-th row and column is a frame of its own, in which displacements are whole."""
    B, C, H, W = a.shape
    rows, columns = -(-H // step), -(-W // step)

    def split(x: Tensor) -> Tensor:
        x = F.pad(x, (0, columns * step - W, 0, rows * step - H))
        x = x.view(B, C, rows, step, columns, step).permute(0, 3, 5, 2, 4, 1)
        return x.reshape(-1, 1, rows, columns, C).contiguous()  # as one head

    bias = a.new_zeros(1, patch, patch, dtype=torch.promote_types(a.dtype, torch.float32))
    out = local_attention(split(a), split(b), None, bias, True, backend)[1]
    out = out.view(B, step, step, rows, columns, patch, patch).permute(0, 5, 6, 3, 1, 4, 2)
    return out.reshape(B, patch, patch, rows * step, columns * step)[..., :H, :W]


def _offset_by_offset(
    a: Tensor,
    b: Tensor,
    patch: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    step: tuple[int, int],
) -> Tensor:
    """The definition for kernels of 1: a product and a sum over channels each displacement."""
    a, b = at_least_float32(a, b)
    H, W = (side + 2 * p for side, p in zip(a.shape[2:], padding, strict=True))
    top, left = ((n - 1) // 2 * by for n, by in zip(patch, step, strict=True))
    bottom, right = (n // 2 * by for n, by in zip(patch, step, strict=True))
    y, x = padding
    a = F.pad(a, (x, x, y, y))[..., :: stride[0], :: stride[1]]
    b = F.pad(b, (x + left, x + right, y + top, y + bottom))
    maps = [
        (a * b[..., i : i + H : stride[0], j : j + W : stride[1]]).sum(1)
        for i in range(0, patch[0] * step[0], step[0])
        for j in range(0, patch[1] * step[1], step[1])
    ]
    return torch.stack(maps, dim=1).unflatten(1, patch)


def _sum_over_kernel(
    maps: Tensor,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> Tensor:
    """A kernel sums products: a convolution of each displacement's map with ones."""
    ones = maps.new_ones(1, 1, *kernel)
    out = F.conv2d(maps.flatten(0, 2)[:, None], ones, None, stride, padding, dilation)
    return out.view(*maps.shape[:3], *out.shape[2:])


def _pair(name: str, value: Pair, least: int = 1) -> tuple[int, int]:
    both = value if isinstance(value, tuple | list) else (value, value)
    if len(both) != 2 or not all(isinstance(x, int) and x >= least for x in both):
        raise ValueError(f'{name} must be an int of {least} or more, or two, got {value!r}')
    return tuple(both)


def _check_maps(input1: Tensor, input2: Tensor) -> None:
    if input1.dim() != 4 or not input1.is_floating_point():
        raise ValueError(
            'input1 must be (B, C, H, W), floating point, '
            f'got {tuple(input1.shape)}, {input1.dtype}'
        )
    if (input2.shape, input2.dtype) != (input1.shape, input1.dtype):
        raise ValueError(
            f'input2 must have the shape and dtype of input1, {tuple(input1.shape)}, '
            f'{input1.dtype}, got {tuple(input2.shape)}, {input2.dtype}'
        )


class SpatialCorrelationSampler(nn.Module):
    """:func:`spatial_correlation_sample` as a module, without parameters.

    The arguments are that function's.
    """

    def __init__(
        self,
        kernel_size: Pair = 1,
        patch_size: Pair = 1,
        stride: Pair = 1,
        padding: Pair = 0,
        dilation: Pair = 1,
        dilation_patch: Pair = 1,
        *,
        backend: str = 'auto',
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.patch_size = patch_size
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.dilation_patch = dilation_patch
        self.backend = backend

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        """(B, C, H, W) twice -> (B, patch height, patch width, output height, output width).

        Raises:
            ValueError: As :func:`spatial_correlation_sample`.
        """
        return spatial_correlation_sample(
            input1,
            input2,
            self.kernel_size,
            self.patch_size,
            self.stride,
            self.padding,
            self.dilation,
            self.dilation_patch,
            backend=self.backend,
        )

    def extra_repr(self) -> str:
        return (
            f'kernel_size={self.kernel_size}, patch_size={self.patch_size}, stride={self.stride}, '
            f'padding={self.padding}, dilation={self.dilation}, '
            f'dilation_patch={self.dilation_patch}'
        )
