_base_ = 'emim-uniformer-small_k400-pre_8xb4-u16-60e_sthv1-rgb.py'

model = dict(
    backbone=dict(
        drop_path_rate=0.2,
        init_cfg=dict(checkpoint=_base_.uniformer_weights.small_in1k),
    )
)
