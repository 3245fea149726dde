# All-global; arms put motion modules in the two blocks of stage 3, whose grid is 8 x 8 tokens.
_base_ = ['../../../configs/_base_/models/emim_uniformer_small.py', 'protocol.py']

model = dict(
    backbone=dict(
        arch='tiny',
        alternation='G',
        mlp_ratio=4.0,
        drop_path_rate=0.0,
        spatial_stride=2,
        # From scratch and this narrow, 0.02 leaves every affinity near zero.
        init_cfg=dict(type='Kaiming', layer='Linear', mode='fan_in', nonlinearity='linear'),
        channels_last=True,
    ),
    cls_head=dict(num_classes=12, in_channels=64, label_smooth_eps=0.1),
)
