"""Triton kernels of :mod:`triton`, the backend; what each computes is defined in :mod:`reference`.

A program holds one tile of a frame: ``ROWS`` queries of one head (the last rows may be empty) and,
in blocks of ``KEYS``, all keys that their windows reach inside the frame. Every product is a
``tl.dot``. Logits live in two layouts: (rows, offsets of the window), where the bias, the softmax
and the motion MLP are, and (rows, keys of a block), which products give and take. Keys outside the
frame are in the first layout alone: they are all the same key.

Tensors come with the strides of their views (B, P, heads, H, W, d); temporaries are contiguous,
(B * P * heads, H, W, ``PITCH``). Every program writes its own part of the outputs: no atomics, so
that results do not vary from run to run.
"""

import triton
import triton.language as tl

from . import reference

PAD_VALUE = tl.constexpr(reference.PAD_VALUE)
QUICK = tl.constexpr(reference.QUICK)
LOG2_E = tl.constexpr(1.4426950408889634)


@triton.jit
def _tile(H, W, TILE_H: tl.constexpr, TILE_W: tl.constexpr, ROWS: tl.constexpr):
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
def _halo(start, TILE: tl.constexpr, length, WINDOW: tl.constexpr):
    """First and number of the lines inside the frame that a tile's windows reach."""
    first = tl.maximum(start - WINDOW // 2, 0)
    return first, tl.minimum(start + TILE + WINDOW // 2, length) - first


@triton.jit
def _block(start, first_y, first_x, height, width, SIZE: tl.constexpr):
    """y, x of a block of the halo's places and whether they exist."""
    place = start + tl.arange(0, SIZE)
    return first_y + place // width, first_x + place % width, place < height * width


@triton.jit
def _frame(x, strides, n, P, heads):
    """Where frame ``n`` of B * P * heads begins."""
    pair = n // heads
    place = (pair // P).to(tl.int64) * strides[0] + (pair % P).to(tl.int64) * strides[1]
    return x + place + (n % heads).to(tl.int64) * strides[2]


@triton.jit
def _pointers(frame, strides, y, x, D: tl.constexpr):
    return frame + (y * strides[3] + x * strides[4])[:, None] + tl.arange(0, D) * strides[5]


@triton.jit
def _load(frame, strides, y, x, exists, d: tl.constexpr, D: tl.constexpr):
    """(places, D), zeros beyond ``d`` and where nothing exists."""
    mask = exists[:, None] & (tl.arange(0, D) < d)
    return tl.load(_pointers(frame, strides, y, x, D), mask=mask, other=0.0)


@triton.jit
def _store(frame, strides, y, x, exists, d: tl.constexpr, D: tl.constexpr, value):
    mask = exists[:, None] & (tl.arange(0, D) < d)
    tl.store(_pointers(frame, strides, y, x, D), value, mask=mask)


@triton.jit
def _rows(x, n, y, x_, H, W, PITCH: tl.constexpr, OFFSETS: tl.constexpr):
    """Pointers to rows of a contiguous (n, H, W, PITCH)."""
    row = (n.to(tl.int64) * H * W + y * W + x_) * PITCH
    return x + row[:, None] + tl.arange(0, OFFSETS)


@triton.jit
def _within(x, size):
    """``0 <= x < size`` in one comparison."""
    return x.to(tl.uint32) < size


@triton.jit
def _window(
    y, x, exists, first_y, first_x, width, H, W, WINDOW: tl.constexpr, OFFSETS: tl.constexpr
):
    """(rows, OFFSETS): place of each offset's key in the halo, far below 0 where it is not inside
    the frame; is the offset one of the window's; is its key inside the frame.
    """
    offset = tl.arange(0, OFFSETS)
    key_y = y[:, None] + offset // WINDOW - WINDOW // 2
    key_x = x[:, None] + offset % WINDOW - WINDOW // 2
    real = exists[:, None] & (offset < WINDOW * WINDOW)
    inside = real & _within(key_y, H) & _within(key_x, W)
    place = (key_y - first_y) * width + key_x - first_x
    return tl.where(inside, place, -(2**30)), real, inside


@triton.jit
def _dot(a, b, total, PRECISION: tl.constexpr):
    """``a @ b + total`` in float32. 'ieee' is the interpreter, which cannot multiply bfloat16."""
    if PRECISION == 'ieee':
        return tl.dot(a.to(tl.float32), b.to(tl.float32), total, input_precision='ieee')
    return tl.dot(a, b, total, input_precision=PRECISION)


@triton.jit
def _collect(out, x, place, start, KEYS: tl.constexpr):
    """From (rows, keys of a block) to (rows, offsets): fill in what the block holds."""
    place -= start
    return tl.where(_within(place, KEYS), tl.gather(x, place & (KEYS - 1), 1), out)


@triton.jit
def _near(y, x, other_y, other_x, exists, WINDOW: tl.constexpr):
    """(rows, others): index of the offset from row to other, and is it in the row's window."""
    other_y = tl.where(exists, other_y, -(2**20))
    start_y, start_x = y - WINDOW // 2, x - WINDOW // 2
    index = (other_y * WINDOW + other_x)[None, :] - (start_y * WINDOW + start_x)[:, None]
    near = _within(other_y[None, :] - start_y[:, None], WINDOW)
    return index, near & _within(other_x[None, :] - start_x[:, None], WINDOW)


@triton.jit
def _spread(x, index, near):
    """The transpose of :func:`_collect`: zeros for keys outside a row's window."""
    return tl.where(near, tl.gather(x, index & (x.shape[1] - 1), 1), 0.0)


@triton.jit
def _logits(x, query, bias, head, scale, inside, MASK: tl.constexpr, WINDOW: tl.constexpr):
    """Affinity of (rows, offsets) from the raw products ``x`` of the keys inside the frame."""
    offset = tl.arange(0, x.shape[1])
    table = bias + head * WINDOW * WINDOW + offset
    table = tl.load(table, mask=offset < WINDOW * WINDOW, other=0.0).to(tl.float32)[None, :]
    if MASK:
        return tl.where(inside, x * scale + table, 0.0)
    outside = tl.sum(query.to(tl.float32), 1)[:, None] * PAD_VALUE
    return tl.where(inside, x, outside) * scale + table


@triton.jit
def _softmax(logits, exists, real, inside, MASK: tl.constexpr):
    # Rows that do not exist take part in nothing; a finite softmax keeps NaN out of sums.
    taken = (inside if MASK else real) | ~exists[:, None]
    logits = tl.where(taken, logits, float('-inf'))
    weight = tl.exp2((logits - tl.max(logits, 1)[:, None]) * LOG2_E)
    return weight * (1.0 / tl.sum(weight, 1))[:, None]


@triton.jit
def _hidden(x, weight1, bias1, at, hidden, PRECISION: tl.constexpr):
    """A block of the hidden layer before its activation, and the sigmoid of it."""
    weight = tl.load(weight1 + at[:, None] * x.shape[1] + tl.arange(0, x.shape[1]))
    z = _dot(x, tl.trans(weight), None, PRECISION)
    z += tl.load(bias1 + at, mask=at < hidden, other=0.0).to(tl.float32)
    return z, 1.0 / (1.0 + tl.exp2(z * (-QUICK * LOG2_E))), weight


@triton.jit
def forward(
    q,
    q_strides,
    k,
    k_strides,
    v,
    v_strides,
    bias,
    weight1,
    bias1,
    weight2,
    bias2,
    context,
    context_strides,
    affinity,
    scale,
    P,
    heads,
    H,
    W,
    hidden,
    d: tl.constexpr,
    D: tl.constexpr,
    WINDOW: tl.constexpr,
    OFFSETS: tl.constexpr,
    MASK: tl.constexpr,
    TILE_H: tl.constexpr,
    TILE_W: tl.constexpr,
    ROWS: tl.constexpr,
    KEYS: tl.constexpr,
    HIDDEN: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """``context`` (plus motion, given weights) and, unless None, ``affinity``."""
    n, top, left, y, x, exists = _tile(H, W, TILE_H, TILE_W, ROWS)
    first_y, height = _halo(top, TILE_H, H, WINDOW)
    first_x, width = _halo(left, TILE_W, W, WINDOW)
    place, real, inside = _window(y, x, exists, first_y, first_x, width, H, W, WINDOW, OFFSETS)
    query = _load(_frame(q, q_strides, n, P, heads), q_strides, y, x, exists, d, D)

    frame = _frame(k, k_strides, n, P, heads)
    products = tl.zeros((ROWS, OFFSETS), tl.float32)
    for start in range(0, height * width, KEYS):
        by, bx, there = _block(start, first_y, first_x, height, width, KEYS)
        key = _load(frame, k_strides, by, bx, there, d, D).to(query.dtype)
        block = _dot(query, tl.trans(key), None, PRECISION)
        products = _collect(products, block, place, start, KEYS)
    logits = _logits(products, query, bias, n % heads, scale, inside, MASK, WINDOW)
    if affinity is not None:
        rows = _rows(affinity, n, y, x, H, W, WINDOW * WINDOW, OFFSETS)
        tl.store(rows, logits, mask=real)

    if context is not None:
        weight = _softmax(logits, exists, real, inside, MASK)
        total = tl.zeros((ROWS, D), tl.float32)
        if not MASK:
            total += tl.sum(tl.where(inside, 0.0, weight), 1)[:, None] * PAD_VALUE
        frame = _frame(v, v_strides, n, P, heads)
        for start in range(0, height * width, KEYS):
            by, bx, there = _block(start, first_y, first_x, height, width, KEYS)
            value = _load(frame, v_strides, by, bx, there, d, D).to(query.dtype)
            index, near = _near(y, x, by, bx, there, WINDOW)
            block = _spread(weight, index, near).to(query.dtype)
            total = _dot(block, value, total, PRECISION)
        if weight1 is not None:
            operand = logits.to(query.dtype)
            channel = tl.arange(0, D)
            for start in range(0, hidden, HIDDEN):
                at = start + tl.arange(0, HIDDEN)
                z, gate, _ = _hidden(operand, weight1, bias1, at, hidden, PRECISION)
                out = tl.load(weight2 + at[:, None] * D + channel)
                block = (z * gate).to(query.dtype)
                total = _dot(block, out, total, PRECISION)
            total += tl.load(bias2 + channel, mask=channel < d, other=0.0).to(tl.float32)
        frame = _frame(context, context_strides, n, P, heads)
        _store(frame, context_strides, y, x, exists, d, D, total)


@triton.jit
def queries_backward(
    context_grad,
    context_grad_strides,
    affinity_grad,
    affinity_grad_strides,
    q,
    q_strides,
    k,
    k_strides,
    v,
    v_strides,
    bias,
    weight1,
    bias1,
    weight2,
    q_grad,
    q_grad_strides,
    bias_grad,
    logits_out,
    weight_out,
    logits_grad_out,
    scale,
    P,
    heads,
    H,
    W,
    hidden,
    d: tl.constexpr,
    D: tl.constexpr,
    WINDOW: tl.constexpr,
    OFFSETS: tl.constexpr,
    PITCH: tl.constexpr,
    MASK: tl.constexpr,
    TILE_H: tl.constexpr,
    TILE_W: tl.constexpr,
    ROWS: tl.constexpr,
    KEYS: tl.constexpr,
    HIDDEN: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """``q_grad``, each program's part of ``bias_grad``, and what the other two kernels start from:
    the logits (given weights), the softmax (given ``context_grad``) and the logits' gradient.
    """
    n, top, left, y, x, exists = _tile(H, W, TILE_H, TILE_W, ROWS)
    first_y, height = _halo(top, TILE_H, H, WINDOW)
    first_x, width = _halo(left, TILE_W, W, WINDOW)
    place, real, inside = _window(y, x, exists, first_y, first_x, width, H, W, WINDOW, OFFSETS)
    offset = tl.arange(0, OFFSETS)
    # What lies in a row after the window is written too, as zeros, so that rows are aligned.
    stored = exists[:, None] & (offset < PITCH)[None, :]
    key_frame = _frame(k, k_strides, n, P, heads)
    logits_grad = tl.zeros((ROWS, OFFSETS), tl.float32)
    if affinity_grad is not None:
        frame = _frame(affinity_grad, affinity_grad_strides, n, P, heads)
        grad = _pointers(frame, affinity_grad_strides, y, x, OFFSETS)
        logits_grad += tl.load(grad, mask=real, other=0.0).to(tl.float32)

    if context_grad is not None:
        query = _load(_frame(q, q_strides, n, P, heads), q_strides, y, x, exists, d, D)
        frame = _frame(context_grad, context_grad_strides, n, P, heads)
        grad = _load(frame, context_grad_strides, y, x, exists, d, D).to(query.dtype)
        frame = _frame(v, v_strides, n, P, heads)
        products = tl.zeros((ROWS, OFFSETS), tl.float32)
        weight_grad = tl.zeros((ROWS, OFFSETS), tl.float32)
        if not MASK:
            weight_grad += tl.sum(grad.to(tl.float32), 1)[:, None] * PAD_VALUE
        for start in range(0, height * width, KEYS):
            by, bx, there = _block(start, first_y, first_x, height, width, KEYS)
            key = _load(key_frame, k_strides, by, bx, there, d, D).to(query.dtype)
            block = _dot(query, tl.trans(key), None, PRECISION)
            products = _collect(products, block, place, start, KEYS)
            value = _load(frame, v_strides, by, bx, there, d, D).to(query.dtype)
            block = _dot(grad, tl.trans(value), None, PRECISION)
            weight_grad = _collect(weight_grad, block, place, start, KEYS)
        logits = _logits(products, query, bias, n % heads, scale, inside, MASK, WINDOW)
        weight = _softmax(logits, exists, real, inside, MASK)
        rows = _rows(weight_out, n, y, x, H, W, PITCH, OFFSETS)
        tl.store(rows, weight, mask=stored)
        logits_grad += weight * (weight_grad - tl.sum(weight * weight_grad, 1)[:, None])
        if weight1 is not None:
            operand = tl.where(real, logits, 0.0).to(query.dtype)
            tl.store(_rows(logits_out, n, y, x, H, W, PITCH, OFFSETS), operand, mask=stored)
            channel = tl.arange(0, D)
            for start in range(0, hidden, HIDDEN):
                at = start + tl.arange(0, HIDDEN)
                z, gate, into = _hidden(operand, weight1, bias1, at, hidden, PRECISION)
                back = tl.trans(tl.load(weight2 + at[:, None] * D + channel))
                block = _dot(grad, back, None, PRECISION)
                block *= gate * (1.0 + z * QUICK * (1.0 - gate))
                block = block.to(query.dtype)
                logits_grad = _dot(block, into, logits_grad, PRECISION)

    logits_grad = tl.where(inside if MASK else real, logits_grad, 0.0)
    rows = _rows(logits_grad_out, n, y, x, H, W, PITCH, OFFSETS)
    tl.store(rows, logits_grad, mask=stored)
    rows = bias_grad + tl.program_id(0).to(tl.int64) * WINDOW * WINDOW + offset
    tl.store(rows, tl.sum(logits_grad, 0), mask=offset < WINDOW * WINDOW)

    total = tl.zeros((ROWS, D), tl.float32)
    if not MASK:
        total += tl.sum(tl.where(inside, 0.0, logits_grad), 1)[:, None] * PAD_VALUE
    for start in range(0, height * width, KEYS):
        by, bx, there = _block(start, first_y, first_x, height, width, KEYS)
        key = _load(key_frame, k_strides, by, bx, there, d, D)
        index, near = _near(y, x, by, bx, there, WINDOW)
        block = _spread(logits_grad, index, near).to(key.dtype)
        total = _dot(block, key, total, PRECISION)
    frame = _frame(q_grad, q_grad_strides, n, P, heads)
    _store(frame, q_grad_strides, y, x, exists, d, D, total * scale)


@triton.jit
def keys_backward(
    q,
    q_strides,
    context_grad,
    context_grad_strides,
    logits_grad,
    weight,
    k_grad,
    k_grad_strides,
    v_grad,
    v_grad_strides,
    scale,
    P,
    heads,
    H,
    W,
    d: tl.constexpr,
    D: tl.constexpr,
    WINDOW: tl.constexpr,
    PITCH: tl.constexpr,
    TILE_H: tl.constexpr,
    TILE_W: tl.constexpr,
    ROWS: tl.constexpr,
    KEYS: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """``k_grad`` and, given ``context_grad``, ``v_grad``; here rows are keys and blocks queries."""
    n, top, left, y, x, exists = _tile(H, W, TILE_H, TILE_W, ROWS)
    first_y, height = _halo(top, TILE_H, H, WINDOW)
    first_x, width = _halo(left, TILE_W, W, WINDOW)
    query_frame = _frame(q, q_strides, n, P, heads)
    logits_grad += n.to(tl.int64) * H * W * PITCH
    if weight is not None:
        weight += n.to(tl.int64) * H * W * PITCH
    k_total = tl.zeros((ROWS, D), tl.float32)
    v_total = tl.zeros((ROWS, D), tl.float32)
    for start in range(0, height * width, KEYS):
        by, bx, there = _block(start, first_y, first_x, height, width, KEYS)
        # From key to query: the offset of the one from the other, reversed.
        index, near = _near(y, x, by, bx, there, WINDOW)
        near &= exists[:, None]
        at = ((by * W + bx) * PITCH + WINDOW * WINDOW - 1)[None, :] - index
        query = _load(query_frame, q_strides, by, bx, there, d, D)
        block = tl.load(logits_grad + at, mask=near, other=0.0).to(query.dtype)
        k_total = _dot(block, query, k_total, PRECISION)
        if context_grad is not None:
            frame = _frame(context_grad, context_grad_strides, n, P, heads)
            grad = _load(frame, context_grad_strides, by, bx, there, d, D).to(query.dtype)
            block = tl.load(weight + at, mask=near, other=0.0).to(query.dtype)
            v_total = _dot(block, grad, v_total, PRECISION)
    frame = _frame(k_grad, k_grad_strides, n, P, heads)
    _store(frame, k_grad_strides, y, x, exists, d, D, k_total * scale)
    if context_grad is not None:
        frame = _frame(v_grad, v_grad_strides, n, P, heads)
        _store(frame, v_grad_strides, y, x, exists, d, D, v_total)


@triton.jit
def mlp_backward(
    context_grad,
    context_grad_strides,
    logits,
    weight1,
    bias1,
    weight2,
    weight1_grad,
    bias1_grad,
    weight2_grad,
    bias2_grad,
    rows,
    share,
    P,
    heads,
    H,
    W,
    hidden,
    d: tl.constexpr,
    D: tl.constexpr,
    WINDOW: tl.constexpr,
    OFFSETS: tl.constexpr,
    PITCH: tl.constexpr,
    ROWS: tl.constexpr,
    HIDDEN: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """One share of the rows, one block of the hidden layer: their part of the MLP's gradients."""
    part = tl.program_id(0)
    at = tl.program_id(1) * HIDDEN + tl.arange(0, HIDDEN)
    offset, channel = tl.arange(0, OFFSETS), tl.arange(0, D)
    back = tl.trans(tl.load(weight2 + at[:, None] * D + channel))
    total1 = tl.zeros((HIDDEN, OFFSETS), tl.float32)
    total2 = tl.zeros((HIDDEN, D), tl.float32)
    bias1_total = tl.zeros((HIDDEN,), tl.float32)
    bias2_total = tl.zeros((D,), tl.float32)
    for start in range(part * share, tl.minimum((part + 1) * share, rows), ROWS):
        row = start + tl.arange(0, ROWS)
        exists = row < rows
        n, place = row // (H * W), row % (H * W)
        operand = tl.load(
            logits + row.to(tl.int64)[:, None] * PITCH + offset,
            mask=exists[:, None] & (offset < PITCH),
            other=0.0,
        )
        frame = _frame(context_grad, context_grad_strides, n, P, heads)
        strides = context_grad_strides
        grad = tl.load(
            (frame + place // W * strides[3] + place % W * strides[4])[:, None]
            + channel * strides[5],
            mask=exists[:, None] & (channel < d),
            other=0.0,
        ).to(operand.dtype)
        z, gate, _ = _hidden(operand, weight1, bias1, at, hidden, PRECISION)
        block = tl.trans((z * gate).to(operand.dtype))
        total2 = _dot(block, grad, total2, PRECISION)
        hidden_grad = _dot(grad, back, None, PRECISION)
        hidden_grad *= gate * (1.0 + z * QUICK * (1.0 - gate))
        bias1_total += tl.sum(hidden_grad, 0)
        bias2_total += tl.sum(grad.to(tl.float32), 0)
        block = tl.trans(hidden_grad.to(operand.dtype))
        total1 = _dot(block, operand, total1, PRECISION)
    units = part * hidden + at
    held = at < hidden
    tl.store(
        weight1_grad + units[:, None] * (WINDOW * WINDOW) + offset,
        total1,
        mask=held[:, None] & (offset < WINDOW * WINDOW),
    )
    tl.store(
        weight2_grad + units[:, None] * d + channel,
        total2,
        mask=held[:, None] & (channel < d),
    )
    tl.store(bias1_grad + units, bias1_total, mask=held)
    if tl.program_id(1) == 0:
        tl.store(bias2_grad + part * d + channel, bias2_total, mask=channel < d)
