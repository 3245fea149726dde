"""Triton kernels of ``ops.triton``; what each computes is defined in ``ops.reference``.

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

from . import triton_tiles as tiles


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
    n, top, left, y, x, exists = tiles.tile(H, W, TILE_H, TILE_W, ROWS)
    first_y, height = tiles.halo(top, TILE_H, H, WINDOW)
    first_x, width = tiles.halo(left, TILE_W, W, WINDOW)
    place, real, inside = tiles.window(y, x, exists, first_y, first_x, width, H, W, WINDOW, OFFSETS)
    query = tiles.load(tiles.frame(q, q_strides, n, P, heads), q_strides, y, x, exists, d, D)

    frame = tiles.frame(k, k_strides, n, P, heads)
    products = tl.zeros((ROWS, OFFSETS), tl.float32)
    for start in range(0, height * width, KEYS):
        by, bx, there = tiles.block(start, first_y, first_x, height, width, KEYS)
        key = tiles.load(frame, k_strides, by, bx, there, d, D).to(query.dtype)
        block = tiles.dot(query, tl.trans(key), None, PRECISION)
        products = tiles.collect(products, block, place, start, KEYS)
    logits = tiles.logits(products, query, bias, n % heads, scale, inside, MASK, WINDOW)
    if affinity is not None:
        rows = tiles.rows(affinity, n, y, x, H, W, WINDOW * WINDOW, OFFSETS)
        tl.store(rows, logits, mask=real)

    if context is not None:
        weight = tiles.softmax(logits, exists, real, inside, MASK)
        total = tl.zeros((ROWS, D), tl.float32)
        if not MASK:
            total += tl.sum(tl.where(inside, 0.0, weight), 1)[:, None] * tiles.PAD_VALUE
        frame = tiles.frame(v, v_strides, n, P, heads)
        for start in range(0, height * width, KEYS):
            by, bx, there = tiles.block(start, first_y, first_x, height, width, KEYS)
            value = tiles.load(frame, v_strides, by, bx, there, d, D).to(query.dtype)
            index, near = tiles.near(y, x, by, bx, there, WINDOW)
            block = tiles.spread(weight, index, near).to(query.dtype)
            total = tiles.dot(block, value, total, PRECISION)
        if weight1 is not None:
            operand = logits.to(query.dtype)
            channel = tl.arange(0, D)
            for start in range(0, hidden, HIDDEN):
                at = start + tl.arange(0, HIDDEN)
                z, gate, _ = tiles.hidden(operand, weight1, bias1, at, hidden, PRECISION)
                out = tl.load(weight2 + at[:, None] * D + channel)
                block = (z * gate).to(query.dtype)
                total = tiles.dot(block, out, total, PRECISION)
            total += tl.load(bias2 + channel, mask=channel < d, other=0.0).to(tl.float32)
        frame = tiles.frame(context, context_strides, n, P, heads)
        tiles.store(frame, context_strides, y, x, exists, d, D, total)


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
    n, top, left, y, x, exists = tiles.tile(H, W, TILE_H, TILE_W, ROWS)
    first_y, height = tiles.halo(top, TILE_H, H, WINDOW)
    first_x, width = tiles.halo(left, TILE_W, W, WINDOW)
    place, real, inside = tiles.window(y, x, exists, first_y, first_x, width, H, W, WINDOW, OFFSETS)
    offset = tl.arange(0, OFFSETS)
    # What lies in a row after the window is written too, as zeros, so that rows are aligned.
    stored = exists[:, None] & (offset < PITCH)[None, :]
    key_frame = tiles.frame(k, k_strides, n, P, heads)
    logits_grad = tl.zeros((ROWS, OFFSETS), tl.float32)
    if affinity_grad is not None:
        frame = tiles.frame(affinity_grad, affinity_grad_strides, n, P, heads)
        grad = tiles.pointers(frame, affinity_grad_strides, y, x, OFFSETS)
        logits_grad += tl.load(grad, mask=real, other=0.0).to(tl.float32)

    if context_grad is not None:
        query = tiles.load(tiles.frame(q, q_strides, n, P, heads), q_strides, y, x, exists, d, D)
        frame = tiles.frame(context_grad, context_grad_strides, n, P, heads)
        grad = tiles.load(frame, context_grad_strides, y, x, exists, d, D).to(query.dtype)
        frame = tiles.frame(v, v_strides, n, P, heads)
        products = tl.zeros((ROWS, OFFSETS), tl.float32)
        weight_grad = tl.zeros((ROWS, OFFSETS), tl.float32)
        if not MASK:
            weight_grad += tl.sum(grad.to(tl.float32), 1)[:, None] * tiles.PAD_VALUE
        for start in range(0, height * width, KEYS):
            by, bx, there = tiles.block(start, first_y, first_x, height, width, KEYS)
            key = tiles.load(key_frame, k_strides, by, bx, there, d, D).to(query.dtype)
            block = tiles.dot(query, tl.trans(key), None, PRECISION)
            products = tiles.collect(products, block, place, start, KEYS)
            value = tiles.load(frame, v_strides, by, bx, there, d, D).to(query.dtype)
            block = tiles.dot(grad, tl.trans(value), None, PRECISION)
            weight_grad = tiles.collect(weight_grad, block, place, start, KEYS)
        logits = tiles.logits(products, query, bias, n % heads, scale, inside, MASK, WINDOW)
        weight = tiles.softmax(logits, exists, real, inside, MASK)
        rows = tiles.rows(weight_out, n, y, x, H, W, PITCH, OFFSETS)
        tl.store(rows, weight, mask=stored)
        logits_grad += weight * (weight_grad - tl.sum(weight * weight_grad, 1)[:, None])
        if weight1 is not None:
            operand = tl.where(real, logits, 0.0).to(query.dtype)
            tl.store(tiles.rows(logits_out, n, y, x, H, W, PITCH, OFFSETS), operand, mask=stored)
            channel = tl.arange(0, D)
            for start in range(0, hidden, HIDDEN):
                at = start + tl.arange(0, HIDDEN)
                z, gate, into = tiles.hidden(operand, weight1, bias1, at, hidden, PRECISION)
                back = tl.trans(tl.load(weight2 + at[:, None] * D + channel))
                block = tiles.dot(grad, back, None, PRECISION)
                block *= gate * (1.0 + z * tiles.QUICK * (1.0 - gate))
                block = block.to(query.dtype)
                logits_grad = tiles.dot(block, into, logits_grad, PRECISION)

    logits_grad = tl.where(inside if MASK else real, logits_grad, 0.0)
    rows = tiles.rows(logits_grad_out, n, y, x, H, W, PITCH, OFFSETS)
    tl.store(rows, logits_grad, mask=stored)
    rows = bias_grad + tl.program_id(0).to(tl.int64) * WINDOW * WINDOW + offset
    tl.store(rows, tl.sum(logits_grad, 0), mask=offset < WINDOW * WINDOW)

    total = tl.zeros((ROWS, D), tl.float32)
    if not MASK:
        total += tl.sum(tl.where(inside, 0.0, logits_grad), 1)[:, None] * tiles.PAD_VALUE
    for start in range(0, height * width, KEYS):
        by, bx, there = tiles.block(start, first_y, first_x, height, width, KEYS)
        key = tiles.load(key_frame, k_strides, by, bx, there, d, D)
        index, near = tiles.near(y, x, by, bx, there, WINDOW)
        block = tiles.spread(logits_grad, index, near).to(key.dtype)
        total = tiles.dot(block, key, total, PRECISION)
    frame = tiles.frame(q_grad, q_grad_strides, n, P, heads)
    tiles.store(frame, q_grad_strides, y, x, exists, d, D, total * scale)


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
    n, top, left, y, x, exists = tiles.tile(H, W, TILE_H, TILE_W, ROWS)
    first_y, height = tiles.halo(top, TILE_H, H, WINDOW)
    first_x, width = tiles.halo(left, TILE_W, W, WINDOW)
    query_frame = tiles.frame(q, q_strides, n, P, heads)
    logits_grad += n.to(tl.int64) * H * W * PITCH
    if weight is not None:
        weight += n.to(tl.int64) * H * W * PITCH
    k_total = tl.zeros((ROWS, D), tl.float32)
    v_total = tl.zeros((ROWS, D), tl.float32)
    for start in range(0, height * width, KEYS):
        by, bx, there = tiles.block(start, first_y, first_x, height, width, KEYS)
        # From key to query: the offset of the one from the other, reversed.
        index, near = tiles.near(y, x, by, bx, there, WINDOW)
        near &= exists[:, None]
        at = ((by * W + bx) * PITCH + WINDOW * WINDOW - 1)[None, :] - index
        query = tiles.load(query_frame, q_strides, by, bx, there, d, D)
        block = tl.load(logits_grad + at, mask=near, other=0.0).to(query.dtype)
        k_total = tiles.dot(block, query, k_total, PRECISION)
        if context_grad is not None:
            frame = tiles.frame(context_grad, context_grad_strides, n, P, heads)
            grad = tiles.load(frame, context_grad_strides, by, bx, there, d, D).to(query.dtype)
            block = tl.load(weight + at, mask=near, other=0.0).to(query.dtype)
            v_total = tiles.dot(block, grad, v_total, PRECISION)
    frame = tiles.frame(k_grad, k_grad_strides, n, P, heads)
    tiles.store(frame, k_grad_strides, y, x, exists, d, D, k_total * scale)
    if context_grad is not None:
        frame = tiles.frame(v_grad, v_grad_strides, n, P, heads)
        tiles.store(frame, v_grad_strides, y, x, exists, d, D, v_total)


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
        frame = tiles.frame(context_grad, context_grad_strides, n, P, heads)
        strides = context_grad_strides
        grad = tl.load(
            (frame + place // W * strides[3] + place % W * strides[4])[:, None]
            + channel * strides[5],
            mask=exists[:, None] & (channel < d),
            other=0.0,
        ).to(operand.dtype)
        z, gate, _ = tiles.hidden(operand, weight1, bias1, at, hidden, PRECISION)
        block = tl.trans((z * gate).to(operand.dtype))
        total2 = tiles.dot(block, grad, total2, PRECISION)
        hidden_grad = tiles.dot(grad, back, None, PRECISION)
        hidden_grad *= gate * (1.0 + z * tiles.QUICK * (1.0 - gate))
        bias1_total += tl.sum(hidden_grad, 0)
        bias2_total += tl.sum(grad.to(tl.float32), 0)
        block = tl.trans(hidden_grad.to(operand.dtype))
        total1 = tiles.dot(block, operand, total1, PRECISION)
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
