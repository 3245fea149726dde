# VideoMAE's VisionTransformer with a token for each 8 x 8 patch of each frame: 8 x 8 x 8 tokens.
_base_ = ['../../../configs/_base_/models/emim_uniformer_small.py', 'protocol.py']

model = dict(
    backbone=dict(
        _delete_=True,
        type='VisionTransformer',
        img_size=64,
        patch_size=8,
        embed_dims=64,
        depth=4,
        num_heads=1,
        mlp_ratio=4.0,
        num_frames=8,
        tubelet_size=1,
        norm_cfg=dict(type='LN', eps=1e-6),
        init_cfg=dict(type='Kaiming', layer='Linear', mode='fan_in', nonlinearity='linear'),
    ),
    cls_head=dict(
        _delete_=True,
        type='TimeSformerHead',
        num_classes=12,
        in_channels=64,
        label_smooth_eps=0.1,
        average_clips='score',
    ),
)
