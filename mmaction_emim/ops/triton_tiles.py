"""What the kernels of ``ops.triton_kernels`` are made of: tiles, their windows, the two layouts of
their logits, softmax and hidden layer.
"""

import triton
import triton.language as tl

from . import reference

PAD_VALUE = tl.constexpr(reference.PAD_VALUE)
QUICK = tl.constexpr(reference.QUICK)
LOG2_E = tl.constexpr(1.4426950408889634)


@triton.jit
def tile(H, W, TILE_H: tl.constexpr, TILE_W: tl.constexpr, ROWS: tl.constexpr):
    """Frame of this program, corner of its tile, and each row's y, x and whether it exists."""
    across = tl.cdiv(W, TILE_W)
    tiles = tl.cdiv(H, TILE_H) * across
    tile = tl.program_id(0) % tiles
    top, left = tile // across * TILE_H, tile % across * TILE_W
    row = tl.arange(0, ROWS)
    y, x = top + row // TILE_W, left + row % TILE_W
    exists = (row < TILE_H * TILE_W) & (y < H) & (x < W)
    return tl.program_id(0) // tiles, top, left, y, x, exists


@triton.jit
def halo(start, TILE: tl.constexpr, length, WINDOW: tl.constexpr):
    """First and number of the lines inside the frame that a tile's windows reach."""
    first = tl.maximum(start - WINDOW // 2, 0)
    return first, tl.minimum(start + TILE + WINDOW // 2, length) - first


@triton.jit
def block(start, first_y, first_x, height, width, SIZE: tl.constexpr):
    """y, x of a block of the halo's places and whether they exist."""
    place = start + tl.arange(0, SIZE)
    return first_y + place // width, first_x + place % width, place < height * width


@triton.jit
def frame(x, strides, n, P, heads):
    """Where frame ``n`` of B * P * heads begins."""
    pair = n // heads
    place = (pair // P).to(tl.int64) * strides[0] + (pair % P).to(tl.int64) * strides[1]
    return x + place + (n % heads).to(tl.int64) * strides[2]


@triton.jit
def pointers(frame, strides, y, x, D: tl.constexpr):
    return frame + (y * strides[3] + x * strides[4])[:, None] + tl.arange(0, D) * strides[5]


@triton.jit
def load(frame, strides, y, x, exists, d: tl.constexpr, D: tl.constexpr):
    """(places, D), zeros beyond ``d`` and where nothing exists."""
    mask = exists[:, None] & (tl.arange(0, D) < d)
    return tl.load(pointers(frame, strides, y, x, D), mask=mask, other=0.0)


@triton.jit
def store(frame, strides, y, x, exists, d: tl.constexpr, D: tl.constexpr, value):
    mask = exists[:, None] & (tl.arange(0, D) < d)
    tl.store(pointers(frame, strides, y, x, D), value, mask=mask)


@triton.jit
def rows(x, n, y, x_, H, W, PITCH: tl.constexpr, OFFSETS: tl.constexpr):
    """Pointers to rows of a contiguous (n, H, W, PITCH)."""
    row = (n.to(tl.int64) * H * W + y * W + x_) * PITCH
    return x + row[:, None] + tl.arange(0, OFFSETS)


@triton.jit
def within(x, size):
    """``0 <= x < size`` in one comparison."""
    return x.to(tl.uint32) < size


@triton.jit
def window(
    y, x, exists, first_y, first_x, width, H, W, WINDOW: tl.constexpr, OFFSETS: tl.constexpr
):
    """(rows, OFFSETS): place of each offset's key in the halo, far below 0 where it is not inside
    the frame; is the offset one of the window's; is its key inside the frame.
    """
    offset = tl.arange(0, OFFSETS)
    key_y = y[:, None] + offset // WINDOW - WINDOW // 2
    key_x = x[:, None] + offset % WINDOW - WINDOW // 2
    real = exists[:, None] & (offset < WINDOW * WINDOW)
    inside = real & within(key_y, H) & within(key_x, W)
    place = (key_y - first_y) * width + key_x - first_x
    return tl.where(inside, place, -(2**30)), real, inside


@triton.jit
def dot(a, b, total, PRECISION: tl.constexpr):
    """``a @ b + total`` in float32. 'ieee' is the interpreter, which cannot multiply bfloat16."""
    if PRECISION == 'ieee':
        return tl.dot(a.to(tl.float32), b.to(tl.float32), total, input_precision='ieee')
    return tl.dot(a, b, total, input_precision=PRECISION)


@triton.jit
def collect(out, x, place, start, KEYS: tl.constexpr):
    """From (rows, keys of a block) to (rows, offsets): fill in what the block holds."""
    place -= start
    return tl.where(within(place, KEYS), tl.gather(x, place & (KEYS - 1), 1), out)


@triton.jit
def near(y, x, other_y, other_x, exists, WINDOW: tl.constexpr):
    """(rows, others): index of the offset from row to other, and is it in the row's window."""
    other_y = tl.where(exists, other_y, -(2**20))
    start_y, start_x = y - WINDOW // 2, x - WINDOW // 2
    index = (other_y * WINDOW + other_x)[None, :] - (start_y * WINDOW + start_x)[:, None]
    near = within(other_y[None, :] - start_y[:, None], WINDOW)
    return index, near & within(other_x[None, :] - start_x[:, None], WINDOW)


@triton.jit
def spread(x, index, near):
    """The transpose of ``collect``: zeros for keys outside a row's window."""
    return tl.where(near, tl.gather(x, index & (x.shape[1] - 1), 1), 0.0)


@triton.jit
def logits(x, query, bias, head, scale, inside, MASK: tl.constexpr, WINDOW: tl.constexpr):
    """Affinity of (rows, offsets) from the raw products ``x`` of the keys inside the frame."""
    offset = tl.arange(0, x.shape[1])
    table = bias + head * WINDOW * WINDOW + offset
    table = tl.load(table, mask=offset < WINDOW * WINDOW, other=0.0).to(tl.float32)[None, :]
    if MASK:
        return tl.where(inside, x * scale + table, 0.0)
    outside = tl.sum(query.to(tl.float32), 1)[:, None] * PAD_VALUE
    return tl.where(inside, x, outside) * scale + table


@triton.jit
def softmax(logits, exists, real, inside, MASK: tl.constexpr):
    # Rows that do not exist take part in nothing; a finite softmax keeps NaN out of sums.
    taken = (inside if MASK else real) | ~exists[:, None]
    logits = tl.where(taken, logits, float('-inf'))
    weight = tl.exp2((logits - tl.max(logits, 1)[:, None]) * LOG2_E)
    return weight * (1.0 / tl.sum(weight, 1))[:, None]


@triton.jit
def hidden(x, weight1, bias1, at, hidden, PRECISION: tl.constexpr):
    """A block of the hidden layer before its activation, and the sigmoid of it."""
    weight = tl.load(weight1 + at[:, None] * x.shape[1] + tl.arange(0, x.shape[1]))
    z = dot(x, tl.trans(weight), None, PRECISION)
    z += tl.load(bias1 + at, mask=at < hidden, other=0.0).to(tl.float32)
    return z, 1.0 / (1.0 + tl.exp2(z * (-QUICK * LOG2_E))), weight
